/**
 * Vitest's pool for tests that run in the guest: one worker, in the virtual machine that main.mjs
 * started, at the other end of the socket that PASIDD_GUEST names. Modules are compiled here and
 * sent. A machine that ends early ends the run with an error.
 */
import { EventEmitter } from 'node:events'
import net from 'node:net'
import process from 'node:process'
import v8 from 'node:v8'
import type { PoolRunnerInitializer, PoolWorker, WorkerRequest } from 'vitest/node'
import { Frames, frame } from './vm/frames.mjs'

/** Where the machine's port is; see main.mjs. */
const SOCKET = 'PASIDD_GUEST'

type Listener = (argument: unknown) => void

class GuestWorker implements PoolWorker {
  readonly name = 'guest'
  readonly cacheFs = false
  readonly #events = new EventEmitter()
  #socket: net.Socket | undefined

  on(event: string, listener: Listener): void {
    this.#events.on(event, listener)
  }

  off(event: string, listener: Listener): void {
    this.#events.off(event, listener)
  }

  send(message: WorkerRequest): void {
    this.#socket?.write(frame(v8.serialize(message)))
  }

  deserialize(message: unknown): unknown {
    return message
  }

  /** @throws when there is no machine to run in */
  async start(): Promise<void> {
    const path = process.env[SOCKET]
    if (path === undefined) {
      throw new Error('these tests run in a virtual machine: start them with `npm run test:kernel`')
    }
    const socket = net.connect(path)
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const frames = new Frames((bytes) => this.#events.emit('message', v8.deserialize(bytes)))
    socket.on('data', (chunk) => frames.add(chunk))
    socket.on('error', (error) => this.#events.emit('error', error))
    socket.on('close', () => this.#events.emit('exit'))
    this.#socket = socket
  }

  stop(): Promise<void> {
    this.#socket?.destroy()
    return Promise.resolve()
  }
}

/** One worker for all files: the machine has one, and it takes seconds to start. */
export const guestPool: PoolRunnerInitializer = {
  name: 'guest',
  createPoolWorker: () => new GuestWorker(),
}
