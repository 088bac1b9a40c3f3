/**
 * The processes of the RPC bench: the echo, pasidd as it ships, and clients. All end with this one.
 * Sockets are in the temporary folder; the ledger is below var/, on the disk that the package is
 * on, since a temporary folder may be in memory and would sync for nothing.
 */

import { fork, type ChildProcess } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { PasidClient } from '../src/client/index.js'
import type { Answers, Asked, Replied, TargetName, Task } from './rpc-task.js'

const READY_MS_MAX = 30_000
const READY_POLL_MS = 50
const STOP_MS_MAX = 10_000

export interface Hosts {
  readonly echoSocket: string
  readonly pasiddSocket: string
  /** Of another tenant of the same daemon. */
  readonly otherSocket: string
  /** On the same disk as the ledger. */
  readonly directory: string
  /** Processor time that a server has used since it started. */
  cpuMs(target: TargetName): number
  stop(): Promise<void>
}

/** No limit on rates: what is measured is the broker, not a bound on it. */
const UNMETERED = `
[limits]
calls_per_second = 0
commands_per_second = 0
`

/** Sessions may hold everything: the loads free between rounds, not in them. */
function configText(sockets: string, state: string, shippedLimits: boolean): string {
  return `[daemon]
state_dir = "${state}/ledger"
vmm_socket = "${sockets}/vmm/pasid.sock"
admin_socket = "${sockets}/admin/pasid.sock"
log_level = "warn"

[namespace]
session_max_pasids = 1048575

[[tenant]]
name = "default"

[[tenant]]
name = "other"
socket = "${sockets}/other/pasid.sock"

[[backend.device]]
name = "emu0"
translation = "MEDIATED"
shared = true
${shippedLimits ? '' : UNMETERED}`
}

const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

function start(file: string, argv: string[], nodeOptions: string[] = []): ChildProcess {
  const child = fork(file, argv, { execArgv: nodeOptions, stdio: 'inherit' })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (!children.has(child)) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const late = sleep(STOP_MS_MAX, undefined, { ref: false }).then(() => child.kill('SIGKILL'))
  await Promise.race([ended, late])
}

async function untilServing(child: ChildProcess, socket: string): Promise<void> {
  const client = new PasidClient({ socket, timeoutMs: 1000, retry: { attempts: 1 } })
  const deadline = performance.now() + READY_MS_MAX
  try {
    while (performance.now() < deadline) {
      if (child.exitCode !== null) throw new Error(`pasidd ended with ${child.exitCode}`)
      const status = await client.health().catch(() => undefined)
      if (status === 'SERVING') return
      await sleep(READY_POLL_MS)
    }
    throw new Error(`pasidd does not serve after ${READY_MS_MAX} ms`)
  } finally {
    client.close()
  }
}

/** User and system time of all threads: fields 14 and 15 of proc_pid_stat(5), in USER_HZ of 100. */
function cpuMsOf({ pid = 0 }: ChildProcess): number {
  const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in field 2 may hold anything, but it is the last that ends in a bracket.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

export interface HostOptions {
  /** A folder that pasidd writes a CPU profile to when it ends. */
  readonly profileTo?: string | undefined
  /** Rates are limited as they are by default. */
  readonly shippedLimits?: boolean
}

export async function startHosts(
  root: string,
  { profileTo, shippedLimits = false }: HostOptions = {},
): Promise<Hosts> {
  const sockets = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-bench-'))
  fs.mkdirSync(path.join(root, 'var'), { recursive: true })
  const directory = fs.mkdtempSync(path.join(root, 'var', 'bench-'))
  const remove = () => {
    for (const folder of [sockets, directory]) fs.rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', remove)
  const config = path.join(directory, 'pasidd.toml')
  fs.writeFileSync(config, configText(sockets, directory, shippedLimits))
  const echoSocket = path.join(sockets, 'echo.sock')
  const echo = start(fileURLToPath(new URL('echo-server.js', import.meta.url)), [echoSocket])
  const profile =
    profileTo === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${path.resolve(profileTo)}`]
  const main = path.join(root, 'dist', 'daemon', 'main.js')
  const pasidd = start(main, ['run', '--config', config], profile)
  await new Promise((resolve) => echo.once('message', resolve))
  const pasiddSocket = path.join(sockets, 'vmm', 'pasid.sock')
  await untilServing(pasidd, pasiddSocket)
  const stop = async () => {
    await Promise.all([end(echo), end(pasidd)])
    process.off('exit', remove)
    remove()
  }
  const cpuMs = (target: TargetName) => cpuMsOf(target === 'echo' ? echo : pasidd)
  const otherSocket = path.join(sockets, 'other', 'pasid.sock')
  return { echoSocket, pasiddSocket, otherSocket, directory, cpuMs, stop }
}

/** A client in a process of its own. */
export class ClientProcess {
  readonly #child = start(fileURLToPath(new URL('rpc-client.js', import.meta.url)), [])
  readonly #waiting = new Map<number, (reply: Replied) => void>()
  #next = 1

  constructor() {
    this.#child.on('message', (reply: Replied) => {
      this.#waiting.get(reply.id)?.(reply)
      this.#waiting.delete(reply.id)
    })
    this.#child.once('exit', (code) => {
      const error = `the client ended with ${String(code)}`
      for (const [id, resolve] of this.#waiting) resolve({ id, ok: false, error })
    })
  }

  async run<Kind extends Task['kind']>(
    task: Extract<Task, { kind: Kind }>,
  ): Promise<Answers[Kind]> {
    const id = this.#next
    this.#next += 1
    const asked: Asked = { id, task }
    const reply = await new Promise<Replied>((resolve) => {
      this.#waiting.set(id, resolve)
      this.#child.send(asked)
    })
    if (!reply.ok) throw new Error(`${task.kind}: ${reply.error}`)
    return reply.answer as Answers[Kind]
  }

  async open({ echoSocket, pasiddSocket }: Hosts): Promise<void> {
    await this.run({ kind: 'open', target: 'echo', socket: echoSocket })
    await this.run({ kind: 'open', target: 'pasidd', socket: pasiddSocket })
  }

  end(): Promise<void> {
    return end(this.#child)
  }
}
