/**
 * `pasidd` as it is built, in a process of its own, with the machine's `edu` devices as devices of
 * the host. What it keeps on disk is in a small file system of its own, which can be filled.
 */
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { OperatorClient, rowsOf, type Allocation } from '../../../src/client/index.js'
import { eduDevices, type PciDevice } from './pci.js'
import type { ServiceManager } from './scenario-manager.js'
import { VMM_GROUP } from './scenario-vmm.js'

const MAIN = path.resolve(import.meta.dirname, '../../../dist/daemon/main.js')
const DISK_BYTES = 4 * 2 ** 20
const READY = '"msg":"ready"'
const POLL_MS = 20

/** The devices by the names that the daemon has for them. */
export type Devices = Readonly<Record<'alone' | 'first' | 'second', PciDevice>>

export interface DaemonOptions {
  /** A rest of this long after a release. */
  readonly hold: string
  /** As `reclaim.unproven_hold`. */
  readonly unprovenHold: string
}

export class Daemon {
  readonly devices: Devices = eduDevices()
  readonly vmmSocket: string
  readonly fdSocket: string
  readonly operator: OperatorClient
  readonly #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pasidd-'))
  readonly #config: string
  readonly #log: string
  readonly #filler: string
  #pid = -1
  #ended: Promise<unknown> = Promise.resolve()
  #manager: ServiceManager | undefined

  /** It is not started yet. */
  constructor(options: DaemonOptions) {
    const at = (name: string) => path.join(this.#folder, name)
    this.vmmSocket = at('vmm/pasid.sock')
    this.fdSocket = at('vmm/fds.sock')
    this.#config = at('pasidd.toml')
    this.#log = at('log')
    this.#filler = at('state/filler')
    fs.writeFileSync(this.#log, '')
    fs.mkdirSync(at('state'))
    mount('-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'state', at('state'))
    const adminSocket = at('admin/pasid.sock')
    fs.writeFileSync(
      this.#config,
      `[daemon]
      state_dir = "${at('state')}"
      vmm_socket = "${this.vmmSocket}"
      admin_socket = "${adminSocket}"
      [namespace]
      hold = "${options.hold}"
      [[identity.rule]]
      role = "vmm"
      gid = ${VMM_GROUP}
      tenant = "default"
      [[identity.rule]]
      role = "delegate"
      tenants = ["default"]
      [reclaim]
      unproven_hold = "${options.unprovenHold}"
      [backend]
      kind = "native"
      ${Object.entries(this.devices).map(deviceText).join('')}`,
    )
    this.operator = new OperatorClient({ socket: adminSocket })
  }

  get pid(): number {
    return this.#pid
  }

  /** All that it has said in all its lives. */
  get log(): string {
    return fs.readFileSync(this.#log, 'utf8')
  }

  /** Resolves when it serves. With a manager it is that one's service. */
  async start(manager: ServiceManager | undefined): Promise<void> {
    const before = this.log.length
    const command = [process.execPath, MAIN, 'run', '--config', this.#config]
    this.#manager = manager
    if (manager === undefined) {
      const out = fs.openSync(this.#log, 'a')
      const [program = '', ...args] = command
      const child = spawn(program, args, { stdio: ['ignore', out, out] })
      fs.closeSync(out)
      this.#pid = child.pid ?? -1
      this.#ended = new Promise((resolve) => child.once('exit', resolve))
    } else this.#pid = await manager.start(command, this.#log)
    for (let said = ''; !said.includes(READY); said = this.log.slice(before)) {
      if (!fs.existsSync(`/proc/${this.#pid}/exe`)) throw new Error(`no daemon: ${said}`)
      await sleep(POLL_MS)
    }
  }

  /** With SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    if (this.#pid < 0) return
    process.kill(this.#pid, 'SIGKILL')
    await (this.#manager?.ended() ?? this.#ended)
    this.#pid = -1
  }

  /** Kills it, and takes away all that it had. */
  async end(): Promise<void> {
    this.operator.close()
    await this.kill()
    spawnSync('umount', [path.join(this.#folder, 'state')])
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Fills what its disk has left. */
  fillDisk(): void {
    const fd = fs.openSync(this.#filler, 'a')
    try {
      for (let size = 2 ** 16; size >= 1; size /= 16) {
        while (hasRoomFor(fd, size));
      }
    } finally {
      fs.closeSync(fd)
    }
  }

  /** Pairs with fillDisk(). */
  makeRoom(): void {
    fs.rmSync(this.#filler, { force: true })
  }

  /** What its descriptors are, in order; those that only have numbers without them. */
  openFds(): string[] {
    return linksOf(this.#pid)
      .map((link) => link.replace(/\d+/g, 'N'))
      .sort()
  }

  /** PASIDs of the device's scope that are not free, in order. */
  async pasids(device: keyof Devices): Promise<Allocation[]> {
    const rows: Allocation[] = []
    for await (const row of rowsOf(this.operator.allocations())) {
      if (row.device === `devices/${device}`) rows.push(row)
    }
    return rows
  }
}

function deviceText([name, { address }]: [string, PciDevice]): string {
  return `
      [[backend.device]]
      name = "${name}"
      address = "${address}"
      scope = "DEVICE"
      `
}

function hasRoomFor(fd: number, bytes: number): boolean {
  try {
    return fs.writeSync(fd, Buffer.alloc(bytes, 1)) === bytes
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}

function mount(...args: readonly string[]): void {
  const { status, stderr } = spawnSync('mount', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`)
}

/** Processes that have the file open, each once. */
export function openersOf(file: string): number[] {
  const pids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => linksOf(pid).includes(file))
}

/** What its descriptors are; nothing of a process that has ended, or is the kernel's. */
function linksOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  try {
    return fs.readdirSync(folder).flatMap((name) => {
      try {
        return [fs.readlinkSync(path.join(folder, name))]
      } catch {
        return []
      }
    })
  } catch {
    return []
  }
}
