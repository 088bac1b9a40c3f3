/** One connection to the side socket, that asks and waits for the answer. */
import { expect } from 'vitest'
import { SyscallFailure } from '../../src/linux/errno.js'
import { connect, type FdConnection } from '../../src/linux/fd-connection.js'

const clients: SideClient[] = []

export class SideClient {
  readonly #connection: FdConnection
  readonly #answers: string[] = []
  isClosed = false

  constructor(path: string) {
    const connection = connect(path)
    if (connection instanceof SyscallFailure) throw new Error(String(connection))
    this.#connection = connection
    connection.onMessage(({ text }) => this.#answers.push(text))
    connection.onClose(() => (this.isClosed = true))
    clients.push(this)
  }

  say(text: string, fds: readonly number[] = []): void {
    const failure = this.#connection.send(text, fds)
    if (failure !== undefined) throw new Error(String(failure))
  }

  async ask(text: string, fds: readonly number[] = []): Promise<string> {
    this.say(text, fds)
    await expect.poll(() => this.#answers.length, { interval: 1 }).toBeGreaterThan(0)
    return this.#answers.shift() ?? ''
  }

  close(): void {
    if (this.#connection.isOpen) this.#connection.close()
  }
}

/** The one-time token that the descriptors are given. @throws when they are refused */
export async function sideToken(
  path: string,
  text: string,
  fds: readonly number[],
): Promise<string> {
  const side = new SideClient(path)
  const answer = await side.ask(text, fds)
  side.close()
  const [word, token = ''] = answer.split(' ')
  if (word !== 'token') throw new Error(answer)
  return token
}

/** For afterEach. */
export function closeSideClients(): void {
  for (const client of clients.splice(0)) client.close()
}
