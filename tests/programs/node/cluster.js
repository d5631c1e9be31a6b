// cluster.js - Node's cluster: workers that share a listener, in both ways of scheduling
//
// Round robin: the primary accepts, and passes connections over the workers' channels. None: it
// passes the listener, and workers accept. On an AF_UNIX name and on an inet port.
'use strict';
const cluster = require('cluster');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const { once } = require('events');

const WORKERS = 3, CLIENTS = 24;

async function ask(address, text) {
  const client = net.connect(address);
  client.end(text);
  let answer = '';
  for await (const part of client) answer += part;
  return answer;
}

async function primary(policy, address) {
  cluster.schedulingPolicy = policy;
  const where = [];
  for (let i = 0; i < WORKERS; i++) {
    const worker = cluster.fork({ ADDRESS: JSON.stringify(address) });
    where.push((await once(worker, 'listening'))[0]);
  }
  const there = typeof address === 'string' ? address : { port: where[0].port };
  const answers = await Promise.all(Array.from({ length: CLIENTS }, (_, i) =>
    ask(there, 'x'.repeat(i * 3000) + i)));
  console.log(answers.map((text) => `${text.length}:${text.slice(-2)}`).join(' '));
  // One dies; the others go on.
  const [first, ...rest] = Object.values(cluster.workers);
  const gone = Promise.all([once(cluster, 'exit'), once(first, 'disconnect')]);
  first.process.kill('SIGKILL');
  console.log((await gone)[0].slice(1)); // between the two it may be given a connection
  console.log(await Promise.all([1, 2, 3].map((i) => ask(there, `after ${i}`))));
  const ends = rest.map((worker) => once(worker, 'exit'));
  for (const worker of rest) worker.disconnect();
  console.log(await Promise.all(ends));
}

async function main() {
  process.exitCode = 1; // when nothing is left to wait for before the end
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cluster-'));
  const policy = process.argv[2] === 'none' ? cluster.SCHED_NONE : cluster.SCHED_RR;
  try {
    await primary(policy, path.join(folder, 'socket'));
    await primary(policy, { host: '127.0.0.1', port: 0 });
    process.exitCode = 0;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

if (cluster.isPrimary) {
  main();
} else {
  net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = '';
    socket.on('data', (part) => { text += part; });
    socket.on('end', () => socket.end(text.toUpperCase()));
  }).listen(JSON.parse(process.env.ADDRESS));
}
