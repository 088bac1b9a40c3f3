/**
 * The end of vitest's pool in the guest (test/kernel/pool.ts is the other): it runs the tests here
 * and asks the host for their modules, so that nothing is compiled under emulation. Messages are
 * v8-serialised, each behind its length in 4 bytes, little endian; file descriptor 3 is what comes,
 * 4 is what goes.
 */
import fs from 'node:fs'
import net from 'node:net'
import v8 from 'node:v8'
import { init, runBaseTests, setupEnvironment } from 'vitest/worker'
import { Frames, frame } from './frames.mjs'

const incoming = new net.Socket({ fd: 3, readable: true, writable: false })
const outgoing = new net.Socket({ fd: 4, readable: false, writable: true })
const listeners = new Set()
// The worker replaces it, so that no test ends the run.
const exit = process.exit.bind(process)

const frames = new Frames((bytes) => {
  const message = v8.deserialize(bytes)
  for (const listener of listeners) listener(message)
})
incoming.on('data', (chunk) => frames.add(chunk))

init({
  post: (message) => outgoing.write(frame(v8.serialize(message))),
  on: (listener) => listeners.add(listener),
  off: (listener) => listeners.delete(listener),
  runTests: (state, traces) => runBaseTests('run', state, traces),
  collectTests: (state, traces) => runBaseTests('collect', state, traces),
  setup: setupEnvironment,
  teardown: () => outgoing.end(() => exit(0)),
})

// Vitest gives a worker a minute to start; the machine takes what it takes.
fs.writeFileSync('/out/ready', '')
