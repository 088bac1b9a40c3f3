/**
 * Running a client as a process: as this user or as another, to its end or until it is told. Holds:
 * what is started here is ended by `endProcesses`, whatever became of the test.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import type { Step } from './expected.js'
import type { Client } from './languages.js'
import { Unavailable, works } from './toolchains.js'

/** Nobody in particular: neither root nor the overflow uid. */
export const ORDINARY_ID = 1001
const AS_ORDINARY = [
  ...['setpriv', '--reuid', String(ORDINARY_ID), '--regid', String(ORDINARY_ID)],
  '--clear-groups',
]

const started: ClientProcess[] = []

/** A client that runs; its output as it comes. */
export class ClientProcess {
  readonly steps: Step[] = []
  /** Its end: the exit code and what it said on stderr, `''` and 0 when all went well. */
  readonly ended: Promise<{ readonly code: number | null; readonly problem: string }>
  readonly #child: ChildProcess
  #waiting: (() => void) | undefined

  constructor({ command, env }: Client, args: readonly string[]) {
    const [program = '', ...before] = command
    this.#child = spawn(program, [...before, ...args], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let rest = ''
    let problem = ''
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (rest + String(chunk)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.steps.push(JSON.parse(line) as Step)
      this.#waiting?.()
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => (problem += String(chunk)))
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code) => {
        this.#waiting?.()
        resolve({ code, problem })
      })
    })
    started.push(this)
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** The first line of that step. @throws when the process ends without it */
  async saw(name: string): Promise<Step> {
    const find = () => this.steps.find(({ step }) => step === name)
    const seen = new Promise<void>((resolve) => {
      this.#waiting = () => {
        if (find() !== undefined) resolve()
      }
      this.#waiting()
    })
    await Promise.race([seen, this.ended])
    const step = find()
    if (step === undefined) throw new Error(`no ${name}: ${(await this.ended).problem}`)
    return step
  }

  /** Says that nothing more comes: a client that holds something stops. */
  endInput(): void {
    this.#child.stdin?.end()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

export async function endProcesses(): Promise<void> {
  for (const client of started) client.kill()
  await Promise.all(started.splice(0).map(({ ended }) => ended.catch(() => undefined)))
}

/** The client as an ordinary user runs it: what it needs is copied to where that user can read. */
export async function asOrdinaryUser(client: Client, folder: string): Promise<Client> {
  if (process.getuid?.() !== 0) throw new Unavailable('needs root to become another user')
  const moved = client.files.map((file, i) => {
    const copy = path.join(folder, String(i))
    fs.cpSync(file, copy, { recursive: true })
    return [file, copy] as const
  })
  const rename = (text: string) =>
    moved.reduce((words, [file, copy]) => words.replaceAll(file, copy), text)
  const env = Object.entries(client.env).map(([name, value]) => [name, rename(value ?? '')])
  const command = client.command.map(rename)
  const [program = ''] = command
  if (!(await works([...AS_ORDINARY, 'test', '-x', program]))) {
    throw new Unavailable(`user ${ORDINARY_ID} may not run ${path.basename(program)}`)
  }
  return {
    command: [...AS_ORDINARY, ...command],
    env: Object.fromEntries(env) as NodeJS.ProcessEnv,
    files: [],
  }
}
