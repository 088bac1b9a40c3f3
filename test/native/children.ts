/**
 * Processes for the tests of src/linux/: Python ones that do what a caller might, and Node ones
 * that run src/linux/ itself, under other ids or a preloaded library. All end with their test.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import ts from 'typescript'
import { onTestFinished } from 'vitest'

const ROOT = path.resolve(import.meta.dirname, '../..')

export const isRoot = process.geteuid?.() === 0

/** Whether namespaces of these kinds (options of unshare(1)) can be made here. */
export function mayUnshare(...kinds: readonly string[]): boolean {
  return spawnSync('unshare', [...kinds, 'true'], { stdio: 'ignore' }).status === 0
}

/** A folder that goes with the test. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-linux-'))
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Descriptors that this process has open. */
export function openFds(): number {
  return fs.readdirSync('/proc/self/fd').length
}

/** Turns of the event loop, in which watches and closed handles get their say. */
export async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Waits for what other processes do; the test's own time limit ends it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}

export class Child {
  readonly process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #ended: Promise<unknown>

  constructor(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [program = '', ...args] = command
    this.process = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    })
    this.#ended = once(this.process, 'close')
    const input = this.process.stdout
    if (input === null) throw new Error('a child without stdout')
    this.#lines = readline.createInterface({ input })[Symbol.asyncIterator]()
    onTestFinished(() => this.kill())
  }

  /** Sleeps until it is killed, and is ready at once. */
  static sleeper(): Child {
    return new Child(['sleep', '1000'])
  }

  /** `say(value)` prints a line, `hear()` waits for one of ours. */
  static python(body: string, ...args: readonly string[]): Child {
    const prelude = [
      'import array, ctypes, os, signal, socket, sys, time',
      'say = lambda value: print(value, flush=True)',
      'hear = lambda: sys.stdin.readline().strip()',
    ]
    const lines = body.split('\n')
    const indent = Math.min(
      ...lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/)),
    )
    const text = [...prelude, ...lines.map((line) => line.slice(indent))].join('\n')
    return new Child(['python3', '-c', text, ...args])
  }

  get pid(): number {
    const { pid } = this.process
    if (pid === undefined) throw new Error(`${this.process.spawnfile} did not start`)
    return pid
  }

  async line(): Promise<string> {
    const next = await this.#lines.next()
    if (next.done === true) throw new Error(`${this.process.spawnargs.join(' ')}: no more output`)
    return next.value
  }

  tell(line: string): void {
    this.process.stdin?.write(`${line}\n`)
  }

  /** Ends it; when this is done it is reaped. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.#ended
  }

  /** Waits for it to end by itself, and to be reaped. */
  async ended(): Promise<void> {
    await this.#ended
  }
}

/** src/linux/ as JavaScript, for other processes: dist/ need not be there, nor up to date. */
export class LinuxCopy {
  readonly folder = temporaryFolder()

  constructor() {
    fs.symlinkSync(path.join(ROOT, 'native'), path.join(this.folder, 'native'))
    const linux = path.join(this.folder, 'src/linux')
    fs.mkdirSync(linux, { recursive: true })
    fs.writeFileSync(path.join(this.folder, 'package.json'), '{ "type": "module" }')
    for (const name of fs.readdirSync(path.join(ROOT, 'src/linux'))) {
      const text = fs.readFileSync(path.join(ROOT, 'src/linux', name), 'utf8')
      const { outputText } = ts.transpileModule(text, {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
      })
      fs.writeFileSync(path.join(linux, name.replace(/\.ts$/, '.js')), outputText)
    }
    // Other users run it too.
    fs.chmodSync(this.folder, 0o755)
  }

  /** A module that imports from './src/linux/'; `before` is put before node, as `setpriv` is. */
  run(
    body: string,
    options: { readonly env?: Readonly<Record<string, string>>; before?: readonly string[] } = {},
  ): Child {
    const file = path.join(this.folder, 'body.mjs')
    fs.writeFileSync(file, body)
    return new Child([...(options.before ?? []), process.execPath, file], options.env)
  }
}

/**
 * The environment of a process with this C++ library before libc; after the sanitizer's, if any.
 */
export function preloaded(source: string): Record<string, string> {
  const folder = temporaryFolder()
  const file = path.join(folder, 'shim.cc')
  const library = path.join(folder, 'shim.so')
  fs.writeFileSync(file, source)
  execFileSync('g++', ['-shared', '-fPIC', '-O1', '-o', library, file, '-ldl'])
  const others = (process.env.LD_PRELOAD ?? '').split(':').filter((name) => name !== '')
  return { LD_PRELOAD: [...others, library].join(':') }
}
