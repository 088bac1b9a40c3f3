/**
 * Random operations, done to core/ and to the naive model side by side: each is decided by both,
 * compared, applied to both. The disk lags, and now and then fails; time passes; the backend ends
 * what verbs began in any order.
 */

import type { Table } from '../../src/core/binding.js'
import type { InvalidationCache, InvalidationEntry, ScopeName } from '../../src/core/commands.js'
import { differencesOf } from '../../src/core/compare.js'
import type { BindStep } from '../../src/core/decide/bind-group.js'
import type { Closing } from '../../src/core/decide/session.js'
import type { Decided } from '../../src/core/decided.js'
import { etagOf } from '../../src/core/etag.js'
import { keptOf, type Change, type Event } from '../../src/core/events.js'
import {
  PASID_LAST,
  domainId,
  generation,
  namespaceId,
  pasid,
  sessionId,
  target,
  type DeviceId,
  type SessionId,
} from '../../src/core/ids.js'
import { problemsOf } from '../../src/core/invariants.js'
import {
  advance,
  applyChange,
  completions,
  operatorVerbs,
  retold,
  revertChange,
  verbs,
} from '../../src/core/machine.js'
import type { Owner } from '../../src/core/owner.js'
import type { TenantOverride } from '../../src/core/quota.js'
import type { PasidRange, PasidRun } from '../../src/core/range.js'
import { restore, type DescribedDevice } from '../../src/core/restore.js'
import type { Policy, State } from '../../src/core/state.js'
import { headroom } from '../../src/core/view.js'
import { canonicalLines, exactLines } from './canonical.js'
import { imageOf } from './core-image.js'
import { Random, World, codeOf, requestKey, type WorldDevice } from './core-world.js'
import { Model, type ModelStep, type Part, type Predicted } from './model.js'

interface Job {
  readonly session: SessionId
  readonly bindings: readonly {
    readonly device: DeviceId
    readonly target: BindStep['after']['target']
  }[]
  readonly pending: readonly { readonly namespace: number; readonly runs: readonly PasidRun[] }[]
  readonly devices: readonly DeviceId[]
  readonly closing: boolean
}

/** A stretch of operations whose commits are going to fail. */
interface Episode {
  readonly revision: number
  readonly text: readonly string[]
  /** Neither time nor disk moves: then every trace of what is undone must be gone. */
  readonly frozen: boolean
  steps: number
}

const CACHES: readonly InvalidationCache[] = ['IOTLB', 'DEVICE_TLB', 'PASID_CACHE']

export class Driver {
  readonly world: World
  readonly state: State
  readonly model: Model
  readonly random: Random
  /** How often each verb ended how. */
  readonly seen = new Map<string, number>()
  #changes: Change[] = []
  #jobs: Job[] = []
  #binds: { readonly core: readonly BindStep[]; readonly model: readonly ModelStep[] }[] = []
  #attaching: { readonly session: SessionId; readonly device: DeviceId }[] = []
  #episode: Episode | undefined
  #durable: number
  #requests = 0
  #names = 0
  /** Calls with a request id, to be repeated word for word. */
  #calls: (() => void)[] = []

  constructor(
    seed: number,
    policy: Policy,
    devices: readonly WorldDevice[],
    formerTenants: readonly string[],
  ) {
    this.random = new Random(seed)
    this.world = new World(policy, devices, formerTenants)
    this.state = this.world.state
    this.#durable = this.state.durable
    const tenants = [...this.state.tenants.values()].map(({ id, name }) => {
      return { id, name, configured: policy.tenants.find((tenant) => tenant.name === name) }
    })
    const known = devices.map((device, id) => ({ id, ...device }))
    this.model = new Model(policy, tenants, known, this.state.revision)
  }

  step(): void {
    this.#endEpisode()
    this.#tick()
    const kinds: readonly [number, () => void][] = [
      [25, () => this.#allocate()],
      [14, () => this.#free()],
      [2, () => this.#repeat()],
      [13, () => this.#bind()],
      [4, () => this.#unbind()],
      [5, () => this.#invalidate()],
      [4, () => this.#attach()],
      [1, () => this.#detach()],
      [3, () => this.#open()],
      [1, () => this.#close()],
      [8, () => this.#completeBind()],
      [4, () => this.#completeAttach()],
      [8, () => this.#work()],
      [7, () => this.#pass()],
      [1, () => this.#odd()],
      [4, () => this.#loseOwner()],
      [1, () => this.#endLingering()],
      [3, () => this.#resume()],
      [1, () => this.#resumeReclaim()],
      [2, () => this.#doubt()],
      [4, () => this.#prove()],
      [2, () => this.#endHold()],
      [3, () => this.#releaseAllocation()],
      [3, () => this.#updateTenant()],
      [2, () => this.#headroom()],
    ]
    let left = this.random.below(kinds.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, act] of kinds) {
      left -= weight
      if (left < 0) return act()
    }
  }

  /** What always holds. */
  inspect(): void {
    const problems = problemsOf(this.state)
    if (problems.length > 0) throw new Error(problems.join('\n'))
  }

  /** What a restart would make of it, from what the model knows. */
  restart(): void {
    const devices = new Map<string, DescribedDevice>()
    for (const { name, facts, scope } of this.model.devices) devices.set(name, { facts, scope })
    const stored = restore(imageOf(this.model), this.world.policy, devices, this.world.at)
    const differences = differencesOf(this.state, stored, { left: 'memory', right: 'model' })
    if (differences.length > 0) throw new Error(differences.join('\n'))
    same(canonicalLines(this.state), canonicalLines(stored), 'as restored from the model')
    const wrong = problemsOf(stored)
    if (wrong.length > 0) throw new Error(`restored: ${wrong.join('\n')}`)
  }

  // -- time, disk, failure
  // ---------------------------------------------------------------------------

  #tick(): void {
    advance(this.state, this.world.at, this.#durable)
    this.model.tick(this.world.at, this.world.now.wall, this.#durable)
  }

  #pass(): void {
    if (this.#episode?.frozen === true) return
    const last = this.#episode?.revision ?? this.state.revision
    const { random } = this
    if (random.chance(70)) {
      this.#durable = random.chance(60) ? last : random.between(this.#durable, last)
      this.#changes = this.#changes.filter(({ revision }) => revision > this.#durable)
    }
    if (random.chance(60)) this.world.instant += random.below(random.chance(20) ? 2000 : 60)
    if (this.#episode !== undefined || !random.chance(6)) return
    this.#tick()
    const frozen = random.chance(50)
    const text = frozen ? exactLines(this.state) : canonicalLines(this.state)
    const { revision } = this.state
    this.#episode = { revision, text, frozen, steps: random.between(1, 30) }
  }

  /** The newest changes are undone as the commit queue does, and what outlives them told again. */
  #endEpisode(): void {
    const episode = this.#episode
    if (episode === undefined) return
    episode.steps -= 1
    if (episode.steps > 0) return
    this.#episode = undefined
    const undone = this.#changes.filter(({ revision }) => revision > episode.revision)
    this.#changes = this.#changes.filter(({ revision }) => revision <= episode.revision)
    for (const change of [...undone].reverse()) revertChange(this.state, change)
    const text = episode.frozen ? exactLines(this.state) : canonicalLines(this.state)
    same(text, episode.text, `after ${undone.length} changes were undone`)
    const kept = this.model.undoTo(episode.revision)
    if (kept.length !== undone.length) throw new Error('the model undid as many changes')
    this.#count('undone', `${Math.min(undone.length, 5)}`)
    for (const [i, change] of undone.entries()) {
      this.#submit(retold(this.state, keptOf(change)), kept[i] ?? [])
    }
  }

  #submit(events: readonly Event[], parts: readonly Part[]): void {
    if (events.length > 0 !== parts.length > 0) {
      throw new Error(`core changes ${JSON.stringify(events)}, the model ${parts.length} facts`)
    }
    if (events.length === 0) return
    this.#changes.push(applyChange(this.state, events))
    this.model.apply(parts)
    if (this.model.revision !== this.state.revision) throw new Error('revisions agree')
  }

  #count(what: string, how: string): void {
    const key = `${what} ${how}`
    this.seen.set(key, (this.seen.get(key) ?? 0) + 1)
  }

  /** Both decided: compares, and applies to both what was accepted. */
  #settle<Core, Naive>(
    what: string,
    decided: Decided<Core>,
    predicted: Predicted<Naive>,
    seenAs: (answer: Core) => Naive,
  ): Core | undefined {
    const how = decided.kind === 'refused' ? decided.refusal.code : decided.kind
    this.#count(what, how)
    if (decided.kind !== predicted.kind) this.#disagree(what, decided, predicted)
    if (decided.kind === 'refused' && predicted.kind === 'refused') {
      const said = new Map(Object.entries(decided.refusal))
      for (const [key, value] of Object.entries(predicted.refusal)) {
        if (JSON.stringify(said.get(key)) === JSON.stringify(value)) continue
        this.#disagree(what, decided, predicted)
      }
    } else if (decided.kind === 'wait' && predicted.kind === 'wait') {
      if (decided.revision !== predicted.revision) this.#disagree(what, decided, predicted)
      if (decided.revision > this.state.revision) this.#disagree(what, decided, predicted)
    } else if (decided.kind === 'accepted' && predicted.kind === 'accepted') {
      if (decided.repeats !== predicted.repeats) this.#disagree(what, decided, predicted)
      this.#submit(decided.events, predicted.settle(seenAs(decided.answer)))
      return decided.answer
    }
    return undefined
  }

  #disagree(what: string, decided: Decided<unknown>, predicted: Predicted<never>): never {
    const { kind } = decided
    const core = kind === 'accepted' ? decided.answer : decided
    const naive = predicted.kind === 'accepted' ? 'accepted' : predicted
    throw new Error(`${what}: ${kind} ${JSON.stringify(core)}, not ${JSON.stringify(naive)}`)
  }

  // -- picking
  // ---------------------------------------------------------------------------------------

  #session(): SessionId {
    const ids = [...this.model.live.sessions.keys()]
    if (ids.length === 0 || this.random.chance(1)) return sessionId(this.random.between(1, 5000))
    return sessionId(this.random.pick(ids))
  }

  /** Fresh, or one used before, with other arguments; #repeat() is for the same ones. */
  #request() {
    const { random } = this
    if (!random.chance(25)) return undefined
    this.#requests += 1
    if (random.chance(95)) return requestKey(this.#requests)
    return requestKey(Math.max(1, this.#requests - random.below(40)), this.#requests)
  }

  #call(command: { readonly request: unknown }, act: () => void): void {
    if (command.request !== undefined) {
      if (this.#calls.length >= 40) this.#calls.splice(this.random.below(40), 1)
      this.#calls.push(act)
    }
    act()
  }

  #repeat(): void {
    if (this.#calls.length > 0) this.random.pick(this.#calls)()
  }

  #labels() {
    return this.random.chance(20) ? { vm: `v${this.random.below(9)}` } : {}
  }

  #range(): PasidRange {
    const { random } = this
    const kind = random.below(10)
    if (kind < 3) return { first: 1, last: PASID_LAST }
    if (kind < 4) return { first: PASID_LAST - random.below(70), last: PASID_LAST }
    const first = random.chance(30) ? random.between(1, 64) : random.between(240, 420)
    return { first, last: first + random.below(random.chance(20) ? 4 : 120) }
  }

  #deviceName(session: number, percentOwn: number): string {
    const own = [...(this.model.live.sessions.get(session)?.attachments.keys() ?? [])]
    const id = own.length > 0 && this.random.chance(percentOwn) ? this.random.pick(own) : undefined
    if (id !== undefined) return this.model.deviceWithId(id).name
    if (this.random.chance(3)) return 'nothing'
    return this.random.pick(this.model.devices).name
  }

  #scope(session: number): ScopeName {
    if (this.random.chance(70)) return { kind: 'HOST' }
    return { kind: 'DEVICE', device: this.#deviceName(session, 85) }
  }

  #namespaceOf(scope: ScopeName): number {
    const device = scope.kind === 'DEVICE' ? this.model.deviceNamed(scope.device) : undefined
    return device === undefined ? 0 : this.model.namespaceOf(device)
  }

  /** A number that is likely to mean something in the namespace. */
  #number(session: number, namespace: number, percentOwn: number): number {
    const { random, model } = this
    const own = model.heldBy(session, namespace)
    if (own.length > 0 && random.chance(percentOwn)) return random.pick(own)
    const known = [...model.numbersIn(namespace).keys()]
    if (known.length > 0 && random.chance(60)) return random.pick(known)
    return random.chance(50) ? random.between(1, 63) : random.between(250, 420)
  }

  #numbers(session: number, namespace: number, percentOwn: number): number[] {
    const count = this.random.chance(50) ? 1 : this.random.between(2, 6)
    const all = Array.from({ length: count }, () => this.#number(session, namespace, percentOwn))
    return [...new Set(all)].sort((a, b) => a - b)
  }

  #table(): Table {
    const { random } = this
    if (random.chance(5)) return { kind: 'PASS_THROUGH' }
    return {
      kind: 'FIRST_STAGE',
      address: random.below(16) * 4096,
      width: random.chance(90) ? 48 : 57,
      supervisor: random.chance(5),
      writeProtect: false,
      extendedAccessed: random.chance(5),
    }
  }

  // -- verbs
  // -----------------------------------------------------------------------------------------

  #open(): void {
    const { random, world } = this
    const name = random.pick(this.model.tenants).name
    // Of few ids, so that tenants meet their own again, with these arguments or with others.
    const again = requestKey(900_000 + random.below(25), random.below(2))
    const command = {
      ...world.openCommand(name),
      maxPasids: random.chance(30) ? random.below(30) : undefined,
      labels: this.#labels(),
      owner: random.chance(90) ? this.#process() : undefined,
      delegate: random.chance(10) ? random.below(3) : undefined,
      lingerMs: random.chance(50) ? 0 : random.pick([1, 1000, 10_000_000]),
      request: random.chance(20) ? again : this.#request(),
    }
    // As the broker does: each call has a name of its own, a repeated one too.
    this.#call(command, () => {
      this.#names += 1
      const name = `session-${this.#names}`
      const owner = random.chance(85) ? command.owner : this.#process()
      const named = { ...command, name, owner }
      const predicted = this.model.openSession(named)
      this.#settle('open', verbs.openSession(this.state, named, world.now), predicted, (a) => a)
    })
  }

  #close(): void {
    const { random } = this
    const cause = random.pick(['CLOSED', 'OPERATOR'] as const)
    const session = this.#session()
    const held = { withhold: random.chance(25), unproven: random.chance(25) }
    const command = { verb: 'close-session', session, cause, ...held } as const
    const predicted = this.model.closeSession(command)
    const decided = verbs.closeSession(this.state, command, this.world.now)
    const answer = this.#settle('close', decided, predicted, (a) => a)
    if (answer !== undefined) this.#closing(command.session, answer)
  }

  #closing(session: SessionId, answer: Closing): void {
    const { teardown: bindings, pending, devices } = answer
    this.#jobs.push({ session, bindings, pending, devices, closing: true })
  }

  #attach(): void {
    const session = this.#session()
    const device = this.#deviceName(session, 5)
    const command = { verb: 'attach-device', session, device, request: this.#request() } as const
    this.#call(command, () => {
      const predicted = this.model.attachDevice(command)
      const decided = verbs.attachDevice(this.state, command, this.world.now)
      const answer = this.#settle('attach', decided, predicted, (a) => a)
      if (answer?.begin === true) this.#attaching.push({ session, device: answer.device })
    })
  }

  #detach(): void {
    const session = this.#session()
    const device = this.#deviceName(session, 90)
    const command = { verb: 'detach-device', session, device, request: this.#request() } as const
    this.#call(command, () => {
      const predicted = this.model.detachDevice(command)
      const decided = verbs.detachDevice(this.state, command, this.world.now)
      const answer = this.#settle('detach', decided, predicted, (a) => a)
      if (answer?.device === undefined) return
      const job = { session, bindings: answer.teardown, devices: [answer.device] }
      this.#jobs.push({ ...job, pending: [], closing: false })
    })
  }

  #allocate(): void {
    const { random } = this
    const session = this.#session()
    const scope = this.#scope(session)
    const namespace = this.#namespaceOf(scope)
    const kind = random.below(10)
    const order = random.chance(95) ? random.below(6) : random.below(13)
    const exact = this.#numbers(session, namespace, 10).map(pasid)
    const devices = random.chance(20) ? [this.#deviceName(session, 90)] : []
    const command = {
      verb: 'allocate',
      session,
      scope,
      ask:
        kind < 6
          ? ({ kind: 'ONE' } as const)
          : kind < 8
            ? ({ kind: 'BLOCK', order } as const)
            : ({ kind: 'EXACT', pasids: exact } as const),
      range: kind < 8 ? this.#range() : { first: 1, last: PASID_LAST },
      devices,
      labels: this.#labels(),
      request: this.#request(),
    } as const
    this.#call(command, () => {
      const predicted = this.model.allocate(command)
      this.#settle(
        'allocate',
        verbs.allocate(this.state, command, this.world.now),
        predicted,
        (a) => a,
      )
    })
  }

  #free(): void {
    const { random } = this
    const session = this.#session()
    const scope = this.#scope(session)
    const namespace = this.#namespaceOf(scope)
    const byRange = random.chance(30)
    const command = {
      verb: 'free',
      session,
      scope,
      what: byRange
        ? ({ kind: 'RANGE', range: this.#range() } as const)
        : ({ kind: 'NUMBERS', pasids: this.#numbers(session, namespace, 95).map(pasid) } as const),
      request: this.#request(),
    } as const
    this.#call(command, () => {
      const { revision } = this.state
      const asOf = random.chance(80) ? revision : random.between(this.#durable, revision)
      const predicted = this.model.free(command, asOf)
      const decided = verbs.free(this.state, command, this.world.now, asOf)
      const answer = this.#settle('free', decided, predicted, (a) => a)
      if (answer === undefined || answer.pending.length === 0) return
      const { teardown: bindings, pending } = answer
      this.#jobs.push({ session, bindings, pending, devices: [], closing: false })
    })
  }

  #bind(): void {
    const { random } = this
    const session = this.#session()
    const first = this.#deviceName(session, 95)
    const more = random.chance(20) ? [this.#deviceName(session, 95)] : []
    const devices = [...new Set([first, ...more])]
    const device = this.model.deviceNamed(first)
    const namespace = device === undefined ? 0 : this.model.namespaceOf(device)
    const at = target(random.chance(8) ? 0 : this.#number(session, namespace, 90))
    const guest = random.chance(60) ? undefined : pasid(random.between(1, 20))
    const standing = device && this.model.bindingAt(device.id, at)?.is.state === 'BOUND'
    const command = {
      verb: 'bind',
      session,
      target: at,
      devices,
      table: this.#table(),
      domain: domainId(random.below(4)),
      guestPasid: guest,
      replace: random.chance(standing === true ? 70 : 5),
    } as const
    const predicted = this.model.bind(command)
    const decided = verbs.bind(this.state, command)
    const answer = this.#settle('bind', decided, predicted, ({ steps }) => {
      return steps.map((step) => ({
        ...step,
        device: step.device.id,
        target: at,
        stamp: 0,
        before: undefined,
      }))
    })
    if (answer !== undefined) this.#binds.push({ core: answer.steps, model: this.model.steps })
  }

  #unbind(): void {
    const { random } = this
    const session = this.#session()
    const kind = random.below(10)
    const own = this.model.bindingsOf(session)
    const at = own.length > 0 && random.chance(80) ? random.pick(own).is.target : target(300)
    const devices = random.chance(50) ? [] : [this.#deviceName(session, 95)]
    const command = {
      verb: 'unbind',
      session,
      what:
        kind < 8
          ? ({ kind: 'TARGET', target: at, devices } as const)
          : kind < 9
            ? ({ kind: 'DEVICE', device: this.#deviceName(session, 90) } as const)
            : ({ kind: 'ALL' } as const),
    } as const
    const predicted = this.model.unbind(command)
    const answer = this.#settle('unbind', verbs.unbind(this.state, command), predicted, (a) => a)
    if (answer === undefined) return
    const { teardown: bindings } = answer
    this.#jobs.push({ session, bindings, pending: [], devices: [], closing: false })
  }

  #invalidate(): void {
    const { random } = this
    const session = this.#session()
    const own = this.model.bindingsOf(session)
    const entries = Array.from({ length: random.between(1, 3) }, (): InvalidationEntry => {
      const caches = CACHES.filter((cache) => random.chance(cache === 'IOTLB' ? 80 : 20))
      const at = own.length > 0 && random.chance(90) ? random.pick(own).is.target : target(299)
      const device = random.chance(70) ? undefined : this.#deviceName(session, 90)
      const kind = random.below(3)
      if (kind === 0) {
        return { granularity: { kind: 'DOMAIN', domain: domainId(random.below(4)) }, caches }
      }
      if (kind === 1) return { granularity: { kind: 'PASID', target: at, device }, caches }
      const pages = { address: 0n, pages: 1n, leaf: false }
      return { granularity: { kind: 'ADDRESS', target: at, device, ...pages }, caches }
    })
    const command = { verb: 'invalidate', session, entries } as const
    const predicted = this.model.invalidate(command)
    this.#settle('invalidate', verbs.invalidate(this.state, command), predicted, (a) => a)
  }

  // -- owners and operators
  // --------------------------------------------------------------------------

  /** Few, so that they meet again; now and then the kernel told only a part of the name. */
  #process(): Owner {
    const { random } = this
    const pid = random.between(1, 6)
    const inode = random.chance(70) ? `${100 + pid}` : ''
    const startTime = random.chance(80) ? `${50 + (pid % 2)}` : ''
    const pidNamespace = random.chance(90) ? '1' : '2'
    return { pid, inode, startTime, pidNamespace, uid: random.below(3), gid: 0 }
  }

  #loseOwner(): void {
    const { random } = this
    const session = this.#session()
    const cause = random.pick(['EXIT', 'SWEEP', 'INFERRED'] as const)
    const held = { withhold: random.chance(30), unproven: random.chance(30) }
    const known = this.model.live.sessions.get(session)?.record.owner
    const owner = known !== undefined && random.chance(80) ? known : this.#process()
    const command = { verb: 'lose-owner', session, owner, cause, ...held } as const
    const predicted = this.model.loseOwner(command)
    const decided = completions.loseOwner(this.state, command, this.world.now)
    const answer = this.#settle('lose', decided, predicted, (a) => a)
    if (answer === undefined) return
    this.#count('lost', answer.closing === undefined ? 'goes on' : 'ends')
    if (answer.closing !== undefined) this.#closing(session, answer.closing)
  }

  #endLingering(): void {
    const session = this.#session()
    const held = { withhold: this.random.chance(30), unproven: this.random.chance(30) }
    const command = { session, ...held }
    const predicted = this.model.endLingering(command)
    const decided = completions.endLingering(this.state, command, this.world.now)
    const answer = this.#settle('linger', decided, predicted, (a) => a)
    if (answer === undefined) return
    this.#count('linger', answer.closing === undefined ? 'goes on' : 'ends')
    if (answer.closing !== undefined) this.#closing(session, answer.closing)
  }

  #resume(): void {
    const { random } = this
    const session = this.#session()
    const owner = this.#process()
    const delegate = random.chance(10) ? random.below(3) : undefined
    const command = { verb: 'resume-session', session, owner, delegate } as const
    const predicted = this.model.resumeSession(command)
    this.#settle('resume', verbs.resumeSession(this.state, command), predicted, (a) => a)
  }

  #resumeReclaim(): void {
    const predicted = this.model.resumeReclaim()
    const decided = operatorVerbs.resumeReclaim(this.state)
    const answer = this.#settle('reclaim', decided, predicted, (a) => a)
    this.#count('reclaimed', `${Math.min(answer?.length ?? 0, 2)}`)
    for (const session of answer ?? []) this.#goesOn(session)
  }

  /** Of a session whose numbers may rest now: its end, or what it has given back. */
  #goesOn(session: SessionId): void {
    const closing = this.model.live.sessions.get(session)?.record.state === 'CLOSING'
    const pending = closing ? [] : this.model.pendingOf(session)
    this.#jobs.push({ session, bindings: [], pending, devices: [], closing })
  }

  /** A session that goes on may have something attached where nobody can take it down. */
  #doubt(): void {
    const session = this.#session()
    // Of one that a restart has brought: it is durable.
    if ((this.model.live.sessions.get(session)?.opened ?? 0) > this.#durable) return
    const events = completions.doubt(this.state, session)
    this.#count('doubted', events.length === 0 ? 'nothing' : 'session')
    this.#submit(events, this.model.doubted(session))
  }

  /** What an unproven session has given back has waited long enough. */
  #endHold(): void {
    const unproven = [...this.state.sessions.values()].filter(({ record }) => record.unproven)
    if (unproven.length === 0) return
    const { id } = this.random.pick(unproven).record
    const pending = this.model.pendingOf(id).filter(() => this.random.chance(80))
    const rest = this.#rest({ session: id, pending }, true)
    this.#count('hold over', rest.length === 0 ? 'nothing' : 'rests')
  }

  /** What of the session may be attached is known to be gone: its end goes on. */
  #prove(): void {
    const unproven = [...this.state.sessions.values()].filter(({ record }) => record.unproven)
    const session = unproven.length === 0 ? this.#session() : this.random.pick(unproven).record.id
    const events = completions.proveClosed(this.state, session)
    this.#count('proved', events.length === 0 ? 'nothing' : 'session')
    this.#submit(events, this.model.proved(session))
    if (events.length > 0) this.#goesOn(session)
  }

  #releaseAllocation(): void {
    const { random, model } = this
    const namespace = namespaceId(random.pick([0, ...model.live.numbers.keys()]))
    const number = this.#number(this.#session(), namespace, 50)
    const current = model.numbersIn(namespace).get(number)?.generation ?? 1
    const meant = random.chance(80) ? current : Math.max(1, current - random.below(3) + 1)
    const named = { namespace, pasid: number, generation: generation(meant) }
    const command = { verb: 'release-allocation', ...named } as const
    const predicted = model.releaseAllocation(command)
    const decided = operatorVerbs.releaseAllocation(this.state, command, this.world.now)
    const answer = this.#settle('release', decided, predicted, (a) => a)
    if (answer === undefined || answer.pending.length === 0) return
    const { session, teardown: bindings, pending } = answer
    this.#jobs.push({ session, bindings, pending, devices: [], closing: false })
  }

  /** Each limit now and then: a value, 0 among them, or null for what is above. */
  #limits(): TenantOverride {
    const { random } = this
    const limit = (most: number): number | null => {
      return random.chance(25) ? null : random.between(0, most)
    }
    const window = (): PasidRange | null => {
      if (random.chance(50)) return null
      const first = random.between(250, 400)
      return { first, last: first + random.below(150) }
    }
    return {
      ...(random.chance(40) ? { maxPasids: limit(80) } : {}),
      ...(random.chance(60) ? { guaranteedPasids: limit(25) } : {}),
      ...(random.chance(15) ? { sessionMaxPasids: limit(40) } : {}),
      ...(random.chance(15) ? { maxSessions: limit(6) } : {}),
      ...(random.chance(15) ? { window: window() } : {}),
    }
  }

  #updateTenant(): void {
    const { random, model, state } = this
    const tenant = random.chance(98) ? random.pick(model.tenants).name : 'nobody'
    const change = random.chance(80) ? this.#limits() : 'REVERT'
    // Another tenant's stands for one that is out of date.
    const of = random.chance(70) ? tenant : random.pick(model.tenants).name
    const known = random.chance(40) ? state.tenantByName.get(of) : undefined
    const etag = known === undefined ? undefined : etagOf(known)
    const isStale = etag !== undefined && model.limitsOf(of) !== model.limitsOf(tenant)
    const command = { verb: 'update-tenant', tenant, change, etag } as const
    const predicted = model.updateTenant(command, isStale)
    const decided = operatorVerbs.updateTenant(state, command)
    this.#settle('update', decided, predicted, (a) => a)
  }

  /** What is said to be left is left, and not one more. */
  #headroom(): void {
    const { model, state } = this
    const session = state.sessions.get(this.#session())
    if (session === undefined) return
    const { id } = session.record
    const namespace = state.namespace(namespaceId(this.random.pick([...model.live.numbers.keys()])))
    const left = headroom(state, session, namespace)
    const naive = model.headroom(id, namespace.id)
    if (left.tenant !== naive) throw new Error(`headroom is ${left.tenant}, not ${naive}`)
    const own = Math.max(0, model.sessionLimit(id) - model.heldCount(id))
    if (left.session !== own) throw new Error(`the session has ${left.session} left, not ${own}`)
    if (namespace.id !== 0 || left.tenant === undefined) return
    const free = model.freeFrom(0, { first: 1, last: PASID_LAST }, left.tenant + 1)
    for (const count of [left.tenant, left.tenant + 1]) {
      if (count === 0 || count > free.length || count > left.session) continue
      const said = this.#exact(id, free.slice(0, count))
      if (said === undefined) return
      this.#count('headroom', said === 'QUOTA_EXCEEDED' ? 'is all' : 'is there')
      if ((said === 'QUOTA_EXCEEDED') === count > left.tenant) continue
      throw new Error(`${said} to ${count} with ${left.tenant} left`)
    }
  }

  /** What is said to exact numbers, if it comes to limits at all. Nothing is taken. */
  #exact(session: SessionId, numbers: readonly number[]): string | undefined {
    const ask = { kind: 'EXACT', pasids: numbers.map(pasid) } as const
    const range = { first: 1, last: PASID_LAST }
    const rest = { scope: { kind: 'HOST' }, ask, range, devices: [], labels: {} } as const
    const command = { verb: 'allocate', session, ...rest, request: undefined } as const
    const said = codeOf(verbs.allocate(this.state, command, this.world.now))
    const before: readonly string[] = [
      'wait',
      'SESSION_LINGERING',
      'SESSION_CLOSING',
      'RANGE_EMPTY',
    ]
    return before.includes(said) ? undefined : said
  }

  // -- the backend
  // -----------------------------------------------------------------------------------

  #completeBind(): void {
    const { random } = this
    if (this.#binds.length === 0) return
    const [begun] = this.#binds.splice(random.below(this.#binds.length), 1)
    if (begun === undefined) return
    const events: Event[] = []
    const parts: Part[] = []
    for (const [i, step] of begun.core.entries()) {
      const naive = begun.model[i]
      if (naive === undefined) throw new Error('the model has as many steps')
      const standing = step.before?.state === 'BOUND'
      const end = random.chance(75)
        ? 'BOUND'
        : random.chance(30)
          ? { lost: 'the device said no' }
          : standing
            ? 'RESTORED'
            : 'GONE'
      if (step.before?.state === 'LOST' && end === 'GONE') continue
      events.push(...completions.completeBind(this.state, step, end))
      parts.push(...this.model.bound(naive, end))
      if (end === 'RESTORED') break
    }
    this.#count('bound', events.length > 0 ? 'settled' : 'superseded')
    this.#submit(events, parts)
  }

  #completeAttach(): void {
    const { random } = this
    if (this.#attaching.length === 0) return
    const at = random.below(this.#attaching.length)
    const begun = this.#attaching[at]
    if (begun === undefined) return
    const attachment = this.model.live.sessions.get(begun.session)?.attachments.get(begun.device)
    if ((attachment?.revision ?? 0) > this.#durable) return
    this.#attaching.splice(at, 1)
    const done = random.chance(90)
    const events = completions.completeAttach(this.state, begun, done)
    this.#submit(events, this.model.attached(begun.session, begun.device, done))
  }

  /** One round of a teardown: some of its bindings go; when all are gone, the rest follows. */
  #work(): void {
    const { random } = this
    if (this.#jobs.length === 0) return
    const at = random.below(this.#jobs.length)
    const job = this.#jobs[at]
    if (job === undefined) return
    // Said too early, of numbers that are bound still: only those that are not come to rest.
    if (random.chance(20)) this.#rest(job)
    const some = job.bindings.filter(() => random.chance(60))
    this.#submit(completions.completeUnbind(this.state, some), this.model.unbound(some))
    const left = job.bindings.some(({ device, target: on }) => {
      const is = this.model.bindingAt(device, on)?.is
      return is?.session === job.session && is.state === 'UNBINDING'
    })
    if (left) return
    for (const device of job.devices) {
      const bound = this.model.bindingsOf(job.session).some(({ is }) => is.device === device)
      if (bound) return
      const gone = completions.completeDetach(this.state, { session: job.session, device })
      this.#submit(gone, this.model.detached(job.session, device))
    }
    this.#rest(job)
    this.#jobs.splice(at, 1)
    if (job.closing) this.#finishClosing(job.session)
  }

  #rest(
    { session, pending: given }: Pick<Job, 'session' | 'pending'>,
    holdOver = false,
  ): readonly Event[] {
    const pending = given as Parameters<typeof completions.completeFree>[2]
    const rest = completions.completeFree(this.state, session, pending, this.world.at, holdOver)
    this.#submit(rest, this.model.freed(session, pending, holdOver))
    return rest
  }

  #finishClosing(id: SessionId): void {
    this.#submit(completions.completeClose(this.state, id), this.model.closed(id))
    const session = this.state.sessions.get(id)
    if (session === undefined) return this.#count('closed', 'gone')
    // An operator takes it up again.
    if (session.record.withheld) return this.#count('closed', 'withheld')
    // So does the proof.
    if (session.record.unproven) return this.#count('closed', 'unproven')
    // What the session has must be durable before it is taken back: the broker waits for it.
    if (this.#episode !== undefined && !this.#ownIsDurable(id)) {
      this.#jobs.push({ session: id, bindings: [], pending: [], devices: [], closing: true })
      return
    }
    if (this.#episode === undefined) this.#durable = this.state.revision
    this.#changes = this.#changes.filter(({ revision }) => revision > this.#durable)
    this.#tick()
    const decided = completions.resumeClosing(this.state, session, this.world.at)
    if (decided.kind !== 'accepted') throw new Error('closing goes on')
    this.#count('closed', 'resumed')
    this.#submit(decided.events, this.model.resumed(id, decided.answer))
    this.#closing(id, decided.answer)
  }

  #ownIsDurable(id: number): boolean {
    const session = this.model.live.sessions.get(id)
    for (const { revision } of session?.attachments.values() ?? []) {
      if (revision > this.#durable) return false
    }
    for (const [namespace, numbers] of this.model.live.numbers) {
      for (const held of this.model.heldBy(id, namespace)) {
        if ((numbers.get(held)?.generation ?? 0) > this.#durable) return false
      }
    }
    return true
  }

  /** A binding is lost; the backend forgets a device or finds it again. */
  #odd(): void {
    const { random, model, state } = this
    if (random.chance(30)) {
      const device = random.pick(model.devices)
      const known = this.world.devices[device.id]?.facts
      if (!device.name.startsWith('shy')) return
      device.facts = device.facts === undefined ? known : undefined
      state.describeDevice(this.world.deviceId(device.name), device.facts, device.scope)
      return
    }
    const bound = [...state.bindings.values()].filter(({ state: is }) => is === 'BOUND')
    if (bound.length === 0) return
    const before = random.pick(bound)
    const cause = 'the device was reset'
    const { device, target: at } = before
    this.#submit([completions.loseBinding(before, cause)], model.lost(device, at, cause))
    this.#count('lost', 'told')
  }
}

function same(a: readonly string[], b: readonly string[], when: string): void {
  if (a.length === b.length && a.every((line, i) => line === b[i])) return
  const [left, right] = [new Set(a), new Set(b)]
  const more = a.filter((line) => !right.has(line)).map((line) => `+ ${line}`)
  const less = b.filter((line) => !left.has(line)).map((line) => `- ${line}`)
  throw new Error(`${when}:\n${[...more, ...less].join('\n')}`)
}
