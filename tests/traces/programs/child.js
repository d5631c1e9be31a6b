// A child that is fed and read, one that is forked with a channel for messages, one of the shell.
'use strict';
const { spawn, fork, execSync } = require('child_process');

if (process.argv[2] === 'child') {
  process.on('message', (message) => {
    process.send({ answer: message.number * 2 });
    if (message.number === 3) process.disconnect();
  });
} else {
  const tr = spawn('tr', ['a-z', 'A-Z']);
  let text = '';
  tr.stdout.on('data', (data) => { text += data; });
  tr.on('close', () => {
    if (text !== 'SOME WORDS\n') process.exit(1);
    if (execSync('echo from the shell').toString() !== 'from the shell\n') process.exit(2);
    const child = fork(__filename, ['child']);
    let sum = 0;
    child.on('message', (message) => { sum += message.answer; });
    child.on('close', () => process.exit(sum === 12 ? 0 : 3));
    for (let number = 1; number <= 3; number++) child.send({ number });
  });
  tr.stdin.end('some words\n');
}
