// children.js - child_process of Node: spawn, exec, execFile, fork with IPC, synchronous forms
//
// `node children.js` runs the tests one after the other. What is printed doesn't depend on order or
// speed. With an argument it is a child.
'use strict';
const assert = require('assert');
const child_process = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const readline = require('readline');
const util = require('util');
const { once } = require('events');
const { pipeline } = require('stream/promises');
const { Worker, isMainThread } = require('worker_threads');
const { spawn, fork, exec, execFile, spawnSync, execSync, execFileSync } = child_process;

const data = Buffer.alloc(700000, 'abcdefghijklmnopqrstuvwxyz.');
const md5 = (bytes) => crypto.createHash('md5').update(bytes).digest('hex');
const own = (mode, options) => fork(__filename, [mode], options);

async function everything(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

async function ended(child) {
  const [code, signal] = await once(child, 'close');
  return signal || code;
}

const children = {
  upper() {
    process.stdin.on('data', (part) => process.stdout.write(part.toString().toUpperCase()));
  },
  both() {
    for (let i = 0; i < 3000; i++) {
      console.log('out', i);
      console.error('err', i);
    }
    process.exitCode = 9;
  },
  ipc() {
    process.on('message', (message) => {
      if (message === 'leave') process.disconnect();
      else if (message === 'die') process.kill(process.pid, 'SIGKILL');
      else if (message === 'throw') throw new Error('on purpose');
      else process.send(message);
    });
    process.on('disconnect', () => console.log('disconnected'));
  },
  handles() {
    process.on('message', (message, handle) => {
      if (message === 'socket') handle.end('through the child');
      if (message === 'paused') handle.on('data', (part) => handle.end(`got ${part}`)).resume();
      if (message === 'server') {
        handle.on('connection', (socket) => socket.end('accepted by the child'));
        process.send('listening');
      }
    });
    process.on('disconnect', () => process.exit(6));
    process.send('ready');
  },
  extra() {
    const out = fs.createWriteStream(null, { fd: 4 });
    fs.createReadStream(null, { fd: 3 }).on('data', (part) => out.write(part)).on('end', () =>
      out.end('end of 3'));
  },
  wait() {
    console.log('here');
    setInterval(() => {}, 1000);
  },
};

const tests = {
  async spawn() {
    const child = spawn('cat');
    child.stdin.end(data);
    const [out, code] = await Promise.all([everything(child.stdout), ended(child)]);
    console.log(out.equals(data), code);
    const both = spawn(process.execPath, [__filename, 'both']);
    const said = await Promise.all([everything(both.stdout), everything(both.stderr), ended(both)]);
    console.log(md5(said[0]), md5(said[1]), said[2]);
    const upper = spawn(process.execPath, [__filename, 'upper']);
    upper.stdin.end(data);
    console.log(md5(await everything(upper.stdout)));
    const shell = spawn('read line; echo "$line$ONLY$HOME"; pwd; exit 4',
      { shell: true, env: { ONLY: 'this' }, cwd: '/' });
    shell.stdin.end('from stdin\n');
    const [text, status] = await Promise.all([everything(shell.stdout), ended(shell)]);
    console.log(JSON.stringify(text.toString()), status);
    const [error] = await once(spawn('/nonexistent/program'), 'error');
    console.log(error.code, error.syscall);
  },

  async stdio() {
    const file = path.join(os.tmpdir(), `children-${process.pid}`);
    const fd = fs.openSync(file, 'w+');
    fs.unlinkSync(file);
    console.log(await ended(spawn('seq', ['1', '5'], { stdio: ['ignore', fd, 'inherit'] })));
    const got = Buffer.alloc(100);
    console.log(JSON.stringify(got.toString('utf8', 0, fs.readSync(fd, got, 0, 100, 0))));
    fs.closeSync(fd);
    const child = spawn(process.execPath, [__filename, 'extra'],
      { stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe', 'pipe'] });
    child.stdio[3].end(data);
    const [out, code] = await Promise.all([everything(child.stdio[4]), ended(child)]);
    console.log(out.length, md5(out), code);
    // One child's output is the other's input, without us between.
    const first = spawn('seq', ['1', '40000']);
    const second = spawn('md5sum', { stdio: [first.stdout, 'pipe', 'inherit'] });
    const exits = once(first, 'exit');
    first.stdout.destroy();
    console.log((await everything(second.stdout)).toString().trim(), await exits);
    const [a, b] = [spawn('cat'), spawn('tr', ['a-z', 'A-Z'])];
    a.stdin.end(data);
    const joined = pipeline(a.stdout, b.stdin);
    console.log(md5(await everything(b.stdout)), await joined);
    const inherited = spawn('echo', ['inherited'], { stdio: 'inherit' });
    console.log(await ended(inherited));
  },

  async lines() {
    const child = spawn('sh', ['-c', 'while read -r x; do echo "<$x>"; done; echo end']);
    const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (let i = 0; i < 300; i++) {
      child.stdin.write(`${i}\n`);
      assert.strictEqual((await lines.next()).value, `<${i}>`);
    }
    child.stdin.end();
    console.log((await lines.next()).value, (await lines.next()).done);
  },

  async deaths() {
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGABRT']) {
      const child = spawn(process.execPath, [__filename, 'wait']);
      await once(child.stdout, 'data');
      child.kill(signal);
      console.log((await everything(child.stdout)).length, child.signalCode || await ended(child));
    }
    const timed = spawn('sleep', ['60'], { timeout: 100, killSignal: 'SIGUSR1' });
    console.log(await ended(timed));
    const controller = new AbortController();
    const aborted = spawn('sleep', ['60'], { signal: controller.signal });
    const error = once(aborted, 'error');
    controller.abort();
    console.log((await error)[0].name, aborted.killed);
    const gone = spawn('true');
    await once(gone, 'exit');
    gone.stdin.on('error', (problem) => console.log(problem.code));
    await new Promise((resolve) => gone.stdin.write(data, resolve));
    const group = spawn('sleep 60 & sleep 60 & echo begun; wait', { shell: true, detached: true });
    await once(group.stdout, 'data');
    process.kill(-group.pid, 'SIGTERM');
    console.log(await ended(group));
    const leaves = spawn('yes');
    await once(leaves.stdout, 'data');
    leaves.stdout.destroy(); // with unread bytes in it: EPIPE or ECONNRESET
    const [code, signal] = await once(leaves, 'exit');
    console.log(signal === 'SIGPIPE' || code === 1);
  },

  async exec() {
    const run = util.promisify(exec);
    console.log(await run('echo out; echo error >&2'));
    await run('seq 1 100000', { maxBuffer: 5000 }).catch((e) => console.log(e.code));
    await run('echo x; exit 3').catch((e) => console.log(e.code, JSON.stringify(e.stdout)));
    await run('exec sleep 60', { timeout: 100 }).catch((e) => console.log(e.killed, e.signal));
    const file = util.promisify(execFile);
    console.log((await file('sort', ['-n', '/dev/null'])).stdout.length);
    const all = await Promise.all(Array.from({ length: 12 }, (_, i) =>
      run(`seq 1 ${i * 500} | tail -n 1`)));
    console.log(all.map(({ stdout }) => Number(stdout)).join(' '));
  },

  async synchronous() {
    const done = spawnSync('cat', { input: data });
    console.log(done.stdout.equals(data), done.status, done.stderr.length);
    console.log(execSync('tr a-z A-Z', { input: 'by execSync', encoding: 'utf8' }));
    console.log(execFileSync('seq', ['3']).toString().split('\n'));
    const failed = spawnSync('sh', ['-c', 'echo out; echo error >&2; kill -9 $$']);
    console.log(failed.status, failed.signal, `${failed.stdout}${failed.stderr}`);
    console.log(spawnSync('sleep', ['60'], { timeout: 100 }).error.code);
    console.log(spawnSync('/nonexistent/program').error.code);
    console.log(spawnSync('echo', ['inherited'], { stdio: 'inherit' }).status);
  },

  async ipc() {
    for (const serialization of ['json', 'advanced']) {
      const child = own('ipc', { serialization });
      const answers = [];
      child.on('message', (message) => answers.push(message));
      const messages = [1, 'text', null, { a: [1, { b: 2 }] }, 'x'.repeat(300000)];
      for (let i = 0; i < 100; i++) messages.push({ i });
      if (serialization === 'advanced') messages.push(new Map([[1, new Date(0)]]), [7n]);
      for (const message of messages) child.send(message);
      while (answers.length < messages.length) await once(child, 'message');
      assert.deepStrictEqual(answers, messages);
      child.send('leave');
      await once(child, 'disconnect');
      console.log(answers.length, child.connected, await ended(child));
    }
    const dying = own('ipc');
    dying.send('die');
    const [, [, signal]] = await Promise.all([once(dying, 'disconnect'), once(dying, 'exit')]);
    console.log(signal);
    const throwing = own('ipc', { silent: true });
    throwing.send('throw');
    const [said, code] = await Promise.all([everything(throwing.stderr), ended(throwing)]);
    console.log(/Error: on purpose/.test(said), code);
    const left = own('ipc', { silent: true });
    left.disconnect();
    const [last, [status]] = await Promise.all([everything(left.stdout), once(left, 'exit')]);
    console.log(JSON.stringify(last.toString()), status);
  },

  // Descriptors go over the channel of fork's children: connections and listeners.
  async handles(addresses) {
    for (const address of addresses) {
      const child = own('handles');
      await once(child, 'message');
      const server = net.createServer({ pauseOnConnect: true });
      server.listen(address);
      await once(server, 'listening');
      const where = typeof address === 'string' ? address : server.address().port;
      const turns = [];
      server.on('connection', (socket) => child.send(turns.shift(), socket));
      turns.push('socket');
      console.log((await everything(net.connect(where))).toString());
      turns.push('paused');
      const client = net.connect(where);
      client.end('early words');
      console.log((await everything(client)).toString());
      server.removeAllListeners('connection');
      child.send('server', server);
      await once(child, 'message');
      // Closing removes the name that was bound, though the child listens still.
      if (where === address) fs.renameSync(address, `${address}.moved`);
      server.close();
      const there = where === address ? `${address}.moved` : where;
      console.log((await everything(net.connect(there))).toString());
      child.disconnect();
      console.log((await once(child, 'exit'))[0]);
    }
  },

  async threads() {
    const workers = Array.from({ length: 3 }, () => new Worker(__filename));
    const exits = Promise.all(workers.map((worker) => once(worker, 'exit')));
    const said = workers.map(async (worker) => (await once(worker, 'message'))[0]);
    console.log(await Promise.all(said), await exits);
  },
};

async function inThread() {
  const { parentPort } = require('worker_threads');
  const child = spawn('cat');
  child.stdin.end(data);
  parentPort.postMessage(md5(await everything(child.stdout)) +
    spawnSync('cat', { input: 'x' }).stdout);
}

async function main() {
  process.exitCode = 1; // when nothing is left to wait for before the end
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'children-'));
  try {
    for (const [name, test] of Object.entries(tests)) {
      console.log(`-- ${name}`);
      await test([path.join(folder, 'socket'), { host: '127.0.0.1', port: 0 }]);
    }
    process.exitCode = 0;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

if (!isMainThread) inThread();
else if (process.argv.length > 2) children[process.argv[2]]();
else main();
