/** A service manager that keeps descriptors, in a process of its own; fd-store.py says how. */
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { Child, temporaryFolder } from '../native/children.js'

const SCRIPT = path.resolve(import.meta.dirname, 'fd-store.py')

export class FdStore {
  private constructor(
    readonly socket: string,
    readonly child: Child,
  ) {}

  static async start(): Promise<FdStore> {
    const socket = path.join(temporaryFolder(), 'notify')
    const child = new Child(['python3', SCRIPT, socket])
    const store = new FdStore(socket, child)
    await child.line()
    return store
  }

  /** This process is its service until the test ends. */
  adoptUs(): void {
    const before = process.env.NOTIFY_SOCKET
    process.env.NOTIFY_SOCKET = this.socket
    onTestFinished(() => {
      if (before === undefined) delete process.env.NOTIFY_SOCKET
      else process.env.NOTIFY_SOCKET = before
    })
  }

  /** What is kept, in the order in which it came. */
  async names(): Promise<readonly string[]> {
    return JSON.parse(await this.ask('names')) as readonly string[]
  }

  ask(command: string): Promise<string> {
    this.child.tell(command)
    return this.child.line()
  }

  /** Starts a service with what is kept; its lines come after. Answers its pid. */
  async run(command: readonly string[]): Promise<number> {
    return Number(await this.ask(`start ${JSON.stringify(command)}`))
  }
}
