/**
 * A broker on a real SQLite ledger in a folder of its own and an emulator, with a clock that the test
 * moves: everything but sockets. `restart` and `kill` bring up the next incarnation on the same file.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Broker } from '../../src/broker/broker.js'
import type { Ports, Telemetry } from '../../src/broker/ports.js'
import { createEmulator, type Emulator } from '../../src/backend/emulator/emulator.js'
import { DEVICE_DEFAULTS, type EmulatedDevice } from '../../src/backend/emulator/device.js'
import type { Scope } from '../../src/core/device.js'
import type { Refusal } from '../../src/core/refusal.js'
import { differencesOf } from '../../src/core/compare.js'
import { problemsOf } from '../../src/core/invariants.js'
import { restore } from '../../src/core/restore.js'
import type { Policy } from '../../src/core/state.js'
import type { TenantPolicy } from '../../src/core/quota.js'
import type { Ledger } from '../../src/ledger/ledger.js'
import { openSqliteLedger } from '../../src/ledger/sqlite/sqlite-ledger.js'
import { HeldBackend } from './broker-rig-backend.js'
import { RigClock } from './broker-rig-clock.js'
import { FailingLedger, type FailurePlan } from './failing-ledger.js'
import { ok, openVm, RigVm, type OpenAsk } from './broker-rig-vm.js'

export const BOOT = 'boot-1'

export interface RigOptions {
  readonly policy?: Partial<Policy>
  readonly tenants?: readonly TenantPolicy[]
  readonly devices?: readonly EmulatedDevice[]
  readonly scopes?: ReadonlyMap<string, Scope>
  readonly bootId?: string
  readonly maxPages?: number
  /** Done to the ledger's folder before it is opened. */
  readonly tamper?: (folder: string) => void
  /** How long the gap of a replace lasts; absent = until the next microtask. */
  readonly replaceGap?: () => Promise<void>
  /** What fails from the start on, recovery included. */
  readonly plan?: FailurePlan
  /** Instead of the ledger's own thread. */
  readonly threadUrl?: (folder: string) => URL
}

export const SHARED: EmulatedDevice = { ...DEVICE_DEFAULTS, name: 'emu0' }
/** A function as behind vfio-pci: nothing translates its PASIDs, one session has it. */
export const WHOLE: EmulatedDevice = {
  ...DEVICE_DEFAULTS,
  name: 'emu1',
  translation: 'NONE',
  shared: false,
}

export function tenant(name: string, more: Partial<TenantPolicy> = {}): TenantPolicy {
  return {
    name,
    parent: undefined,
    maxPasids: undefined,
    sessionMaxPasids: undefined,
    maxSessions: undefined,
    window: undefined,
    devices: undefined,
    ...more,
  }
}

function policyOf({ policy, tenants }: RigOptions): Policy {
  return {
    hostMaxPasids: undefined,
    sessionMaxPasids: 1000,
    maxSessions: 100,
    maxRequestIds: 100_000,
    holdMs: 1000,
    reservations: [{ first: 1, last: 255, reason: 'host kernel' }],
    tenants: tenants ?? [tenant('default')],
    ...policy,
  }
}

/** What the broker told the world, as it came. */
export class RigTelemetry implements Telemetry {
  readonly bugs: unknown[] = []
  readonly refusals: Refusal['code'][] = []
  readonly lost: { device: string; target: number; cause: string }[] = []
  readonly backendFaults: { device: string; operation: string; message: string }[] = []
  readonly reclaims: { cause: string; sessions: number; pasids: number }[] = []
  readonly failures: { message: string; undone: number; kept: number }[] = []
  recoveries = 0
  commits = 0

  committed(): void {
    this.commits += 1
  }
  commitFailed(fault: { message: string; undone: number; kept: number }): void {
    this.failures.push(fault)
  }
  ledgerRecovered(): void {
    this.recoveries += 1
  }
  refused(code: Refusal['code']): void {
    this.refusals.push(code)
  }
  backendFault(fault: { device: string; operation: string; message: string }): void {
    this.backendFaults.push(fault)
  }
  bindingLost(facts: { device: string; target: number; cause: string }): void {
    this.lost.push(facts)
  }
  reclaimed(facts: { cause: string; sessions: number; pasids: number }): void {
    this.reclaims.push(facts)
  }
  bug(error: unknown): void {
    this.bugs.push(error)
  }
}

const folders: string[] = []

/** For afterAll: the folders of all rigs of the file. */
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
}

export class BrokerRig {
  #vms = 0

  private constructor(
    readonly directory: string,
    readonly options: RigOptions,
    readonly clock: RigClock,
    readonly telemetry: RigTelemetry,
    readonly emulator: Emulator,
    readonly backend: HeldBackend,
    readonly ledger: FailingLedger,
    readonly broker: Broker,
  ) {}

  static start(options: RigOptions = {}): Promise<BrokerRig> {
    const directory = mkdtempSync(path.join(tmpdir(), 'pasidd-rig-'))
    folders.push(directory)
    return BrokerRig.#up(directory, options)
  }

  static async #up(directory: string, options: RigOptions): Promise<BrokerRig> {
    const bootId = options.bootId ?? BOOT
    const { maxPages, tamper, threadUrl } = options
    const folder = path.join(directory, 'state')
    tamper?.(folder)
    const inner = await openSqliteLedger({
      directory: folder,
      bootId,
      onCorrupt: 'refuse',
      ...(maxPages === undefined ? {} : { maxPages }),
      ...(threadUrl === undefined ? {} : { threadUrl: threadUrl(folder) }),
    })
    const ledger = new FailingLedger(inner)
    if (options.plan !== undefined) ledger.plan(options.plan)
    const clock = new RigClock()
    const telemetry = new RigTelemetry()
    const { devices = [SHARED, WHOLE], replaceGap } = options
    const emulator = createEmulator(replaceGap ? { devices, replaceGap } : { devices })
    const backend = new HeldBackend(emulator)
    let byte = 0
    const chance = { bytes: (count: number) => new Uint8Array(count).fill((byte += 1)) }
    const ports: Ports = { clock, chance, telemetry }
    const scopes = options.scopes ?? new Map<string, Scope>([['emu1', 'DEVICE']])
    const broker = await Broker.start({
      ledger,
      backend,
      policy: policyOf(options),
      scopes,
      bootId,
      ports,
    })
    return new BrokerRig(directory, options, clock, telemetry, emulator, backend, ledger, broker)
  }

  /** Opens a session for one VM. */
  async vm(ask: OpenAsk = {}): Promise<RigVm> {
    return new RigVm(this.broker, ok(await this.tryVm(ask)).session)
  }

  tryVm(ask: OpenAsk = {}) {
    this.#vms += 1
    const count = `${this.broker.info().recoveredRevision}-${this.#vms}`
    return openVm(this.broker, { name: `vm-${count}`, ...ask })
  }

  /** Polls until it holds; the test's own timeout is the bound. */
  async until(what: () => boolean): Promise<void> {
    while (!what()) await this.#turn()
  }

  async #turn(): Promise<void> {
    this.throwBugs()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }

  /** Everything decided is on disk. */
  settled(): Promise<void> {
    const { broker } = this
    return this.until(() => broker.info().durableRevision === broker.state.revision)
  }

  /** Lets time pass in steps, with room for what each step starts, until it holds. */
  async passUntil(what: () => boolean, stepMs = 50): Promise<void> {
    while (!what()) {
      this.clock.pass(stepMs)
      await this.#turn()
    }
  }

  /** Ends in order; throws what was a bug on the way. */
  async stop(): Promise<void> {
    await this.broker.stop()
    await this.ledger.close()
    this.throwBugs()
  }

  throwBugs(): void {
    for (const bug of this.telemetry.bugs) throw bug
  }

  /** The next incarnation after an orderly end. */
  async restart(options: Partial<RigOptions> = {}): Promise<BrokerRig> {
    await this.broker.stop()
    return this.reincarnate(options)
  }

  /** The next incarnation of a broker that was stopped already. */
  async reincarnate(options: Partial<RigOptions> = {}): Promise<BrokerRig> {
    await this.ledger.close()
    this.throwBugs()
    return BrokerRig.#up(this.directory, { ...this.options, ...options })
  }

  /** The next incarnation after the process was killed at this point. */
  async kill(options: Partial<RigOptions> = {}): Promise<BrokerRig> {
    this.ledger.freeze()
    await this.ledger.close()
    this.throwBugs()
    return BrokerRig.#up(this.directory, { ...this.options, ...options })
  }

  /** Everything that is wrong now: memory, ledger and backend against each other. */
  async problems(): Promise<string[]> {
    this.throwBugs()
    const report = await this.broker.check()
    if (!report.ok) return [`check was refused: ${report.refusal.code}`]
    const said = report.value.problems.map(({ against, description }) => {
      return `${against}: ${description}`
    })
    return [...said, ...problemsOf(this.broker.state)]
  }

  /** How memory differs from the file read anew through the door; only when nothing is queued. */
  async differencesFromFile(ledger: Ledger = this.ledger): Promise<string[]> {
    const { state } = this.broker
    const devices = new Map(
      [...state.devices.values()].map(({ name, facts, scope }) => [name, { facts, scope }]),
    )
    const stored = restore(await ledger.load(), state.policy, devices, this.clock.instant())
    return differencesOf(state, stored, { left: 'memory', right: 'file' })
  }
}
