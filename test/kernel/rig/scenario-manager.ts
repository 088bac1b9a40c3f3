/**
 * A service manager that keeps descriptors (test/support/fd-store.py), with the daemon as its
 * service.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'

const SCRIPT = path.resolve(import.meta.dirname, '../../support/fd-store.py')
const PYTHON = '/usr/bin/python3'

export class ServiceManager {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  private constructor() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-manager-'))
    const stdio = ['pipe', 'pipe', 'inherit'] as const
    this.#child = spawn(PYTHON, [SCRIPT, path.join(folder, 'notify')], { stdio: [...stdio] })
    const { stdout } = this.#child
    if (stdout === null) throw new Error('a process without output')
    this.#lines = readline.createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  /** Undefined: there is no Python in the machine. */
  static async start(): Promise<ServiceManager | undefined> {
    if (!fs.existsSync(PYTHON)) return undefined
    const manager = new ServiceManager()
    await manager.#line()
    return manager
  }

  /** With all that it keeps; its output goes to the end of the file. Answers the pid. */
  async start(command: readonly string[], log: string): Promise<number> {
    const shell = ['sh', '-c', `exec "$@" >>${log} 2>&1 </dev/null`, 'sh', ...command]
    return Number(await this.#ask(`start ${JSON.stringify(shell)}`))
  }

  /** Waits for the end of the service. */
  async ended(): Promise<void> {
    await this.#ask('wait')
  }

  /** Of what it keeps, in the order in which it came. */
  async names(): Promise<readonly string[]> {
    return JSON.parse(await this.#ask('names')) as readonly string[]
  }

  /** Closes what it keeps under names that begin so. */
  async forget(prefix: string): Promise<void> {
    await this.#ask(`forget ${prefix}`)
  }

  /** Ends it; what it keeps is closed. */
  end(): void {
    this.#child.kill('SIGKILL')
  }

  #ask(command: string): Promise<string> {
    this.#child.stdin?.write(`${command}\n`)
    return this.#line()
  }

  async #line(): Promise<string> {
    const next = await this.#lines.next()
    if (next.done === true) throw new Error('the service manager has ended')
    return next.value
  }
}
