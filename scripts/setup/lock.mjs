/**
 * One set-up at a time in one checkout. The lock is an abstract Unix socket: binding is atomic and
 * the kernel takes it back when the holder dies, however it dies, so no lock can be stale. Whoever
 * connects is told the holder's pid.
 */
import crypto from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import { ROOT } from './paths.mjs'
import { say } from './progress.mjs'

const RETRY_MS = 250

const PLACE = crypto.createHash('sha256').update(fs.realpathSync(ROOT)).digest('hex')
const NAME = `\0pasidd-setup-${PLACE}`

function tryBind() {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.end(String(process.pid))
    })
    server.once('error', (error) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(NAME, () => resolve(server))
  })
}

function holder() {
  return new Promise((resolve) => {
    let pid = ''
    const socket = net.connect(NAME)
    socket.setTimeout(1000, () => socket.destroy())
    socket.on('data', (chunk) => {
      pid += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(/^\d+$/.test(pid) ? ` (process ${pid})` : ''))
  })
}

/** Runs `work` alone; waits, and says so, while another set-up of this checkout runs. */
export async function withLock(work) {
  let server = await tryBind()
  if (server === undefined) {
    say(`another set-up${await holder()} is at work in this folder; waiting for it`)
    while (server === undefined) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      server = await tryBind()
    }
  }
  try {
    return await work()
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}
