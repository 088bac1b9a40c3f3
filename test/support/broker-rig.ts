/**
 * A broker on a real SQLite ledger in a folder of its own and an emulator, with a clock that the
 * test moves: everything but sockets. `restart` and `kill` bring up the next incarnation on the
 * same file.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { AuditRow } from '../../src/broker/answers.js'
import { Broker } from '../../src/broker/broker.js'
import type { Caller, TokenBearer } from '../../src/broker/caller.js'
import type { FeedLimits } from '../../src/broker/change-feed.js'
import type { PageRequestPolicy } from '../../src/broker/page-requests.js'
import type { PageRequestEnd, Ports, Reclaimed, Sweep, Telemetry } from '../../src/broker/ports.js'
import type { ReclaimPaths, ReclaimPolicy } from '../../src/broker/reaper.js'
import type { Backend } from '../../src/backend/backend.js'
import { createEmulator, type Emulator } from '../../src/backend/emulator/emulator.js'
import { DEVICE_DEFAULTS, type EmulatedDevice } from '../../src/backend/emulator/device.js'
import type { AuditAction } from '../../src/core/audit.js'
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
import type { RigNative } from './broker-rig-native.js'
import { RigOwners, rigCaller, type RigProcess } from './broker-rig-owners.js'
import { FailingLedger, type FailurePlan } from './failing-ledger.js'
import { ok, openVm, RigVm, tokenOf, type OpenAsk } from './broker-rig-vm.js'

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
  readonly reclaim?: Partial<ReclaimPolicy>
  /** Ways of noticing that an owner has ended; absent = all. */
  readonly paths?: ReclaimPaths
  readonly watch?: Partial<FeedLimits>
  readonly pageRequests?: Partial<PageRequestPolicy>
  /** One that outlives its broker; absent = one of the broker's own. */
  readonly emulator?: Emulator
  /** Instead of the emulator: VMMs hand their devices over. */
  readonly native?: RigNative
  /** Instead of either. */
  readonly other?: Backend
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
    guaranteedPasids: undefined,
    sessionMaxPasids: undefined,
    maxSessions: undefined,
    window: undefined,
    devices: undefined,
    ...more,
  }
}

/** Sweeps only when a test orders one, unless it says otherwise. */
const RECLAIM: ReclaimPolicy = {
  sweepIntervalMs: 1e9,
  sweepBudgetMs: 1000,
  sweepSessions: 10_000,
  stuckAfterMs: 60_000,
  breakerShare: 20,
  breakerFloor: 10,
  unprovenHoldMs: 60_000,
}

const PAGE_REQUESTS: PageRequestPolicy = {
  deadlineMs: 5000,
  pendingMax: 256,
  tokenKey: new Uint8Array(32).fill(7),
}

function policyOf({ policy, tenants }: RigOptions): Policy {
  return {
    hostMaxPasids: undefined,
    sessionMaxPasids: 1000,
    maxSessions: 100,
    maxRequestIds: 100_000,
    holdMs: 1000,
    lingerMsMax: 60_000,
    reservations: [{ first: 1, last: 255, reason: 'host kernel' }],
    tenants: tenants ?? [tenant('default')],
    ...policy,
  }
}

/** What the broker told the world, as it came. */
export class RigTelemetry implements Telemetry {
  readonly bugs: unknown[] = []
  readonly pageRequestEnds: PageRequestEnd[] = []
  readonly refusals: Refusal['code'][] = []
  readonly lost: { device: string; target: number; cause: string }[] = []
  readonly backendFaults: { device: string; operation: string; message: string }[] = []
  readonly letGo: { device: string; session: string; why: string }[] = []
  readonly reclaims: Reclaimed[] = []
  readonly sweeps: Sweep[] = []
  readonly opened: { inferred: number; looked: number; share: number }[] = []
  readonly closed: { sessions: number; pasids: number }[] = []
  readonly unprovenTold: { session: string; pasids: number; how: string }[] = []
  readonly stuckJobs: { session: string; attempts: number; problem: string }[] = []
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
  keptLetGo(facts: { device: string; session: string; why: string }): void {
    this.letGo.push(facts)
  }
  bindingLost(facts: { device: string; target: number; cause: string }): void {
    this.lost.push(facts)
  }
  reclaimed(facts: Reclaimed): void {
    this.reclaims.push(facts)
  }
  swept(sweep: Sweep): void {
    this.sweeps.push(sweep)
  }
  breakerOpened(facts: { inferred: number; looked: number; share: number }): void {
    this.opened.push(facts)
  }
  breakerClosed(facts: { sessions: number; pasids: number }): void {
    this.closed.push(facts)
  }
  unproven(facts: { session: string; pasids: number; how: string }): void {
    this.unprovenTold.push(facts)
  }
  stuck(facts: { session: string; attempts: number; problem: string }): void {
    this.stuckJobs.push(facts)
  }
  pageRequestEnded(end: PageRequestEnd): void {
    this.pageRequestEnds.push(end)
  }
  bug(error: unknown): void {
    this.bugs.push(error)
  }
}

/** No two runs of a broker throw the same. */
let chances = 0
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
    readonly owners: RigOwners,
    readonly telemetry: RigTelemetry,
    readonly emulator: Emulator,
    readonly backend: HeldBackend,
    readonly ledger: FailingLedger,
    readonly broker: Broker,
  ) {}

  static start(options: RigOptions = {}): Promise<BrokerRig> {
    const directory = mkdtempSync(path.join(tmpdir(), 'pasidd-rig-'))
    folders.push(directory)
    return BrokerRig.#up(directory, options, new RigOwners())
  }

  static async #up(directory: string, options: RigOptions, owners: RigOwners): Promise<BrokerRig> {
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
    const gap = replaceGap === undefined ? {} : { replaceGap }
    const emulator = options.emulator ?? createEmulator({ devices, clock, ...gap })
    const backend = new HeldBackend(emulator)
    const chance = { bytes: (count: number) => new Uint8Array(count).fill((chances += 1)) }
    const ports: Ports = { clock, chance, owners, telemetry }
    const scopes = options.scopes ?? new Map<string, Scope>([['emu1', 'DEVICE']])
    const broker = await Broker.start({
      ledger,
      backend: options.other ?? options.native ?? backend,
      lab: emulator.lab,
      policy: policyOf(options),
      scopes,
      bootId,
      reclaim: { ...RECLAIM, ...options.reclaim },
      paths: options.paths,
      watch: { watchersMax: 4, changesKept: 1024, ...options.watch },
      pageRequests: { ...PAGE_REQUESTS, ...options.pageRequests },
      ports,
    })
    const world = [clock, owners, telemetry, emulator, backend, ledger] as const
    return new BrokerRig(directory, options, ...world, broker)
  }

  /** Opens a session for one VM. */
  async vm(ask: OpenAsk = {}): Promise<RigVm> {
    const owner = ask.owner ?? this.owners.start()
    const opened = ok(await this.tryVm({ ...ask, owner })).session
    return new RigVm(this.broker, opened, owner)
  }

  tryVm(ask: OpenAsk = {}) {
    this.#vms += 1
    const count = `${this.broker.info().recoveredRevision}-${this.#vms}`
    return openVm(this.broker, { name: `vm-${count}`, ...ask })
  }

  /** The process, with the token that it opened the session with. */
  bearer(vm: RigVm, process: RigProcess = vm.owner, more: Partial<Caller> = {}): TokenBearer {
    const caller = rigCaller(this.owners, process, more)
    return { caller, session: vm.name, tokenHash: tokenOf(vm.name) }
  }

  /** The process takes the session over, or asks again. */
  resume(vm: RigVm, process: RigProcess, delegate?: number) {
    const bearer = this.bearer(vm, process)
    return this.broker.resumeSession({ bearer, owner: process, delegate })
  }

  /** Newest first. */
  async audit(action?: AuditAction): Promise<readonly AuditRow[]> {
    const all = { before: undefined, subject: undefined, uid: undefined, outcome: undefined }
    return ok(await this.broker.listAudit({ ...all, limit: 1000, action }))
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
    return BrokerRig.#up(this.directory, { ...this.options, ...options }, this.owners.reborn())
  }

  /** The next incarnation after the process was killed at this point. */
  async kill(options: Partial<RigOptions> = {}): Promise<BrokerRig> {
    this.ledger.freeze()
    await this.ledger.close()
    this.throwBugs()
    return BrokerRig.#up(this.directory, { ...this.options, ...options }, this.owners.reborn())
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
