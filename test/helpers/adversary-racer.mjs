/**
 * Many clients of one process that race at a limit: each has a connection and a session of its own.
 * Most ask on a Control stream, one in so many by calls.
 */
import { PasidClient, PasidError } from '../../dist/client/index.js'

const EACH_UNARY = 16

class Client {
  #held = 0
  #ask

  constructor(socket, isStream) {
    const channelOptions = { 'grpc.use_local_subchannel_pool': 1 }
    this.isStream = isStream
    this.client = new PasidClient({ socket, retry: { attempts: 1 }, channelOptions })
  }

  async open() {
    const session = await this.client.openSession()
    if (!this.isStream) {
      this.#ask = (command, request) => session[command](request)
      return
    }
    const control = await session.control()
    this.#ask = (command, request) => control.send(command, request)
  }

  /** So many were granted; the reason and the level where none were. */
  async allocate(size) {
    const ask = size === 1 ? { one: {} } : { block: { size } }
    try {
      const { ranges } = await this.#ask('allocatePasids', ask)
      const granted = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0)
      this.#held += granted
      return { size, granted, why: '' }
    } catch (error) {
      if (!(error instanceof PasidError)) throw error
      return { size, granted: 0, why: `${error.reason} ${error.metadata.level ?? error.message}` }
    }
  }

  /** Everything that it holds. */
  async free() {
    if (this.#held === 0) return 0
    this.#held = 0
    const range = { first: 1, last: 1_048_575 }
    return (await this.#ask('freePasids', { range })).freed
  }
}

export class Racer {
  #clients = []

  constructor(socket, index) {
    this.socket = socket
    this.index = index
  }

  async open(count) {
    this.#clients = Array.from(
      { length: count },
      (_, i) => new Client(this.socket, i % EACH_UNARY > 0),
    )
    await Promise.all(this.#clients.map((client) => client.open()))
  }

  /** One ask a client, all at once; 0 asks for nothing. */
  allocate(asks) {
    const all = asks.map((size, i) => (size === 0 ? undefined : this.#clients[i].allocate(size)))
    return Promise.all(all.filter((ask) => ask !== undefined))
  }

  /** Those whose sign is 1 give back what they hold, those with 2 ask for one more. */
  async mix(signs) {
    const all = signs.map((sign, i) => {
      if (sign === 1) return this.#clients[i].free().then((freed) => ({ freed, granted: 0 }))
      if (sign !== 2) return { freed: 0, granted: 0, why: '' }
      return this.#clients[i].allocate(1).then((answer) => ({ freed: 0, ...answer }))
    })
    return Promise.all(all)
  }

  async free() {
    const freed = await Promise.all(this.#clients.map((client) => client.free()))
    return freed.reduce((sum, count) => sum + count, 0)
  }
}
