/**
 * A whole daemon for tests, in a folder of its own below the temporary one: in this process, or as
 * the child process that `pasidd run` is. What a test starts here, `stopAll` ends, whatever became
 * of it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { Emulator } from '../../src/backend/emulator/emulator.js'
import { readConfig } from '../../src/daemon/config/read.js'
import type { Config } from '../../src/daemon/config/config.js'
import type { Layout } from '../../src/daemon/layout.js'
import { openLogs } from '../../src/daemon/logs.js'
import { startDaemon, type RunningDaemon, type StartDaemonOptions } from '../../src/daemon/start.js'

const ROOT = path.resolve(import.meta.dirname, '../..')
const READY_MS = 20_000
const EXIT_MS = 20_000

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const folders: string[] = []
const daemons: RunningDaemon[] = []
const children: ChildDaemon[] = []

/** Empty, with a path short enough for sockets; `stopAll` removes it. */
export function temporaryFolder(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-'))
  folders.push(folder)
  return folder
}

export function layoutIn(folder: string): Layout {
  return {
    stateDir: path.join(folder, 'state'),
    vmmSocket: path.join(folder, 'vmm', 'pasid.sock'),
    adminSocket: path.join(folder, 'admin', 'pasid.sock'),
    homes: [],
  }
}

/** The configuration of a daemon in the folder; `toml` is what is different from the defaults. */
export function configIn(folder: string, toml = ''): Config {
  const result = readConfig({ text: toml, file: undefined, layout: layoutIn(folder) })
  if (!result.ok) throw new Error(result.problems.join('\n'))
  return result.config
}

export interface InProcessDaemon extends RunningDaemon {
  readonly backend: Emulator
  readonly folder: string
  /** Log lines so far. */
  readonly lines: readonly string[]
}

export interface InProcessOptions extends Omit<StartDaemonOptions, 'logs'> {
  readonly folder?: string
  readonly toml?: string
}

export async function startInProcess(options: InProcessOptions = {}): Promise<InProcessDaemon> {
  const { folder = temporaryFolder(), toml, ...rest } = options
  const lines: string[] = []
  const sink = { write: (line: string) => void lines.push(line) }
  const config = configIn(folder, toml)
  const daemon = await startDaemon(config, {
    ...rest,
    logs: openLogs({ level: config.logLevel, sink }),
  })
  daemons.push(daemon)
  const { emulator } = daemon
  if (emulator === undefined) throw new Error(`the backend is ${daemon.backend.kind}`)
  return { ...daemon, backend: emulator, folder, lines }
}

/** A daemon in a process of its own. */
export class ChildDaemon {
  readonly vmmSocket: string
  readonly adminSocket: string
  /** Of the process, however it comes. */
  readonly ended: Promise<Ending>
  output = ''
  readonly #child: ChildProcess
  #wake: (() => void) | undefined

  constructor(
    readonly folder: string,
    command: readonly string[],
    environment: NodeJS.ProcessEnv,
  ) {
    const layout = layoutIn(folder)
    this.vmmSocket = layout.vmmSocket
    this.adminSocket = layout.adminSocket
    const [program = '', ...args] = command
    this.#child = spawn(program, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += String(chunk)
        this.#wake?.()
      })
    }
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code, signal) => resolve({ code, signal }))
    })
    children.push(this)
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Resolves when the log says so. @throws when the process ends first, or takes too long */
  async said(text: string): Promise<void> {
    const seen = new Promise<void>((resolve) => {
      this.#wake = () => {
        if (this.output.includes(text)) resolve()
      }
      this.#wake()
    })
    let timer: NodeJS.Timeout | undefined
    const failed = new Promise<never>((_resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${why} "${text}":\n${this.output}`))
      timer = setTimeout(() => fail('no word of'), READY_MS)
      void this.ended.then(({ code, signal }) => fail(`ended (${code ?? signal}) before`))
    })
    await Promise.race([seen, failed]).finally(() => clearTimeout(timer))
  }

  ready(): Promise<void> {
    return this.said('"msg":"ready"')
  }

  /** Nobody reads its log any more. */
  closeOutput(): void {
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Sends the signal and waits for the end; after too long it is killed. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ending> {
    this.signal(signal)
    const timer = setTimeout(() => this.signal('SIGKILL'), EXIT_MS)
    return this.ended.finally(() => clearTimeout(timer))
  }
}

export interface ChildOptions {
  readonly folder?: string
  /** What is different from the defaults; `[daemon]` may be the first table, without paths. */
  readonly toml?: string
  readonly environment?: NodeJS.ProcessEnv
  /** Put before node, for instance a shell that is the parent. */
  readonly before?: readonly string[]
}

/** The file that a child is started with: the paths of the folder, and the text. */
export function writeConfig(folder: string, toml = ''): string {
  const { stateDir, vmmSocket, adminSocket } = layoutIn(folder)
  const paths =
    `state_dir = ${JSON.stringify(stateDir)}\nvmm_socket = ${JSON.stringify(vmmSocket)}\n` +
    `admin_socket = ${JSON.stringify(adminSocket)}\n`
  const own = toml.startsWith('[daemon]\n') ? toml.slice('[daemon]\n'.length) : toml
  const rest = toml === own ? `${paths}\n${toml}` : `${paths}${own}`
  const file = path.join(folder, 'pasidd.toml')
  fs.writeFileSync(file, `[daemon]\n${rest}`)
  return file
}

/** Starts `pasidd run` from dist/; does not wait for it. */
export function spawnDaemon(options: ChildOptions = {}): ChildDaemon {
  const { folder = temporaryFolder(), toml, environment = {}, before = [] } = options
  const file = writeConfig(folder, toml)
  const main = path.join(ROOT, 'dist/daemon/main.js')
  const command = [...before, process.execPath, main, 'run', '--config', file]
  return new ChildDaemon(folder, command, environment)
}

/** Starts `pasidd run` and waits until it serves. */
export async function startChild(options: ChildOptions = {}): Promise<ChildDaemon> {
  const child = spawnDaemon(options)
  await child.ready()
  return child
}

/** Ends everything started here and removes the folders; for afterEach. */
export async function stopAll(): Promise<void> {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()))
  await Promise.all(
    children.splice(0).map((child) => (child.isRunning ? child.stop() : child.ended)),
  )
  for (const folder of folders.splice(0)) fs.rmSync(folder, { recursive: true, force: true })
}
