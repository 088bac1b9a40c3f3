/**
 * What core/ should do, said in the most naive way: plain maps and arrays, every question answered
 * by looking at everything. Undoing is forgetting: a copy of what is durable, and a list of what
 * came after, told again from the start. Only types come from src/core.
 */

import type { Binding } from '../../src/core/binding.js'
import type {
  AllocatePasids,
  AttachDevice,
  BindPasid,
  CloseSession,
  DetachDevice,
  FreePasids,
  Invalidate,
  LoseOwner,
  OpenSession,
  ReleaseAllocation,
  ResumeSession,
  ScopeName,
  UnbindPasids,
  UpdateTenant,
} from '../../src/core/commands.js'
import type { DeviceFacts, Scope } from '../../src/core/device.js'
import type { ProcessId } from '../../src/core/owner.js'
import type { TenantOverride, TenantPolicy } from '../../src/core/quota.js'
import type { PasidRange, PasidRun } from '../../src/core/range.js'
import type { Refusal } from '../../src/core/refusal.js'
import type { RequestKey, RequestMethod } from '../../src/core/requests.js'
import type { Labels, SessionRecord } from '../../src/core/session.js'
import type { Policy } from '../../src/core/state.js'
import { changed, QuotaTree, type QuotaTenant } from './model-quota.js'

const NUMBER_LAST = 1_048_575

export interface ModelNumber {
  readonly state: 'HELD' | 'PENDING' | 'RESTING'
  readonly session: number
  readonly tenant: number
  readonly generation: number
  readonly at: number
  /** Of a resting number. */
  readonly until: number
  readonly released: number
}

export interface ModelRequest {
  readonly method: RequestMethod
  readonly key: RequestKey
  readonly at: number
  readonly answer: number
  readonly revision: number
}

export interface ModelAttachment {
  readonly state: 'ATTACHING' | 'ATTACHED' | 'DETACHING'
  readonly revision: number
}

export interface ModelSession {
  record: SessionRecord
  readonly opened: number
  readonly attachments: Map<number, ModelAttachment>
  readonly requests: ModelRequest[]
}

/** `stamp` tells one making of a binding from the next. */
export interface ModelBinding {
  readonly stamp: number
  readonly is: Binding
}

interface ModelData {
  readonly numbers: Map<number, Map<number, ModelNumber>>
  readonly sessions: Map<number, ModelSession>
  bindings: ModelBinding[]
  readonly labels: Map<number, Labels>
  readonly tenantRequests: Map<number, ModelRequest[]>
  /** Limits changed at run time, by tenant. */
  readonly overrides: Map<number, TenantOverride>
  /** Newest generation that a number ever had, as `namespace:pasid`. */
  readonly generations: Map<string, number>
}

/**
 * One fact of a change; `keep`: it stays true when the commit fails, by itself or if another does.
 */
export interface Part {
  readonly keep: boolean | 'WITH_OTHERS'
  readonly tell: (data: ModelData, revision: number) => void
}

export interface ModelDevice {
  readonly id: number
  readonly name: string
  readonly scope: Scope
  facts: DeviceFacts | undefined
}

export interface ModelTenant {
  readonly id: number
  readonly name: string
  /** Undefined: not any more. */
  readonly configured: TenantPolicy | undefined
}

type RefusalPart = Pick<Refusal, 'code'> & Readonly<Record<string, unknown>>

export type Predicted<Answer> =
  | { readonly kind: 'refused'; readonly refusal: RefusalPart }
  | { readonly kind: 'wait'; readonly revision: number }
  | {
      readonly kind: 'accepted'
      readonly repeats: number
      /** Judges the answer, throws where it is wrong, and says what has become true. */
      readonly settle: (answer: Answer) => readonly Part[]
    }

export interface ModelStep {
  readonly device: number
  readonly target: number
  readonly stamp: number
  readonly before: ModelBinding | undefined
}

type Pending = readonly { readonly namespace: number; readonly runs: readonly PasidRun[] }[]

interface Detaching {
  readonly device: number | undefined
  readonly teardown: readonly Binding[]
}

interface Freeing {
  readonly freed: number
  readonly teardown: readonly Binding[]
  readonly pending: Pending
}

interface Closing extends Freeing {
  readonly devices: readonly number[]
}

type Shut = Closing & { readonly complete: boolean }

/** What became of a session whose owner has ended; undefined: it goes on. */
interface Lost {
  readonly closing: Shut | undefined
}

/** Thrown by the thousand: not errors, whose stacks would be most of the time spent. */
class Refused {
  constructor(readonly refusal: RefusalPart) {}
}

class Waits {
  constructor(readonly revision: number) {}
}

function refuse(refusal: RefusalPart): never {
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  throw new Refused(refusal)
}

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

function numbersOf(runs: readonly PasidRun[]): number[] {
  return runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i))
}

function isOneProcess(a: ProcessId, b: ProcessId): boolean {
  const known = a.inode !== '' && b.inode !== ''
  const name = ({ inode, pid, startTime, pidNamespace }: ProcessId): string => {
    return known ? inode : `${pidNamespace} ${pid} ${startTime}`
  }
  return (known || a.startTime !== '') && name(a) === name(b)
}

function same(a: readonly unknown[], b: readonly unknown[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** For an operator, or until it is proven that nothing is attached: none of its numbers rest. */
function isHeldBack({ withheld, unproven }: SessionRecord): boolean {
  return withheld || unproven
}

export class Model {
  now = 0
  wall = 0
  durable: number
  live: ModelData
  /** Of the bind accepted last: what its completion speaks of. */
  steps: readonly ModelStep[] = []
  /** Sessions ever opened: an id is never given twice. */
  readonly sessionIds = new Set<number>()
  readonly #base: ModelData
  #ahead: { readonly revision: number; readonly parts: readonly Part[] }[] = []
  #stamp = 0

  constructor(
    readonly policy: Policy,
    readonly tenants: readonly ModelTenant[],
    readonly devices: readonly ModelDevice[],
    public revision: number,
  ) {
    this.durable = revision
    const namespaces = [0, ...devices.filter((d) => d.scope === 'DEVICE').map((d) => d.id + 1)]
    this.#base = {
      numbers: new Map(namespaces.map((id) => [id, new Map<number, ModelNumber>()])),
      sessions: new Map(),
      bindings: [],
      labels: new Map(),
      tenantRequests: new Map(tenants.map(({ id }) => [id, []])),
      overrides: new Map(),
      generations: new Map(),
    }
    this.live = structuredClone(this.#base)
  }

  // -- time and the disk
  // ---------------------------------------------------------------------------

  tick(now: number, wall: number, durable: number): void {
    this.now = now
    this.wall = wall
    this.durable = durable
    for (const { revision, parts } of this.#ahead) {
      if (revision <= durable) for (const part of parts) part.tell(this.#base, revision)
    }
    this.#ahead = this.#ahead.filter(({ revision }) => revision > durable)
    for (const data of [this.live, this.#base]) {
      for (const numbers of data.numbers.values()) {
        for (const [pasid, number] of numbers) {
          const over = number.state === 'RESTING' && number.until <= now
          if (over && number.released <= durable) numbers.delete(pasid)
        }
      }
    }
  }

  apply(parts: readonly Part[]): void {
    if (parts.length === 0) return
    this.revision += 1
    this.#ahead.push({ revision: this.revision, parts })
    for (const part of parts) part.tell(this.live, this.revision)
  }

  /** Forgets all changes after `revision`; answers for each what outlives it. */
  undoTo(revision: number): readonly (readonly Part[])[] {
    const undone = this.#ahead.filter((change) => change.revision > revision)
    this.#ahead = this.#ahead.filter((change) => change.revision <= revision)
    this.live = structuredClone(this.#base)
    for (const change of this.#ahead) {
      for (const part of change.parts) part.tell(this.live, change.revision)
    }
    this.revision = revision
    return undone.map(({ parts }) => {
      return parts.some(({ keep }) => keep === true)
        ? parts.filter(({ keep }) => keep !== false)
        : []
    })
  }

  // -- looking
  // -------------------------------------------------------------------------------------

  deviceNamed(name: string): ModelDevice | undefined {
    return this.devices.find((device) => device.name === name)
  }

  deviceWithId(id: number): ModelDevice {
    const found = this.devices.find((device) => device.id === id)
    if (found === undefined) throw new Error(`no device ${id}`)
    return found
  }

  namespaceOf(device: ModelDevice): number {
    return device.scope === 'HOST' ? 0 : device.id + 1
  }

  numbersIn(namespace: number): Map<number, ModelNumber> {
    return this.live.numbers.get(namespace) ?? new Map<number, ModelNumber>()
  }

  bindingAt(device: number, target: number): ModelBinding | undefined {
    return this.live.bindings.find(({ is }) => is.device === device && is.target === target)
  }

  bindingsOf(session: number): ModelBinding[] {
    return this.live.bindings.filter(({ is }) => is.session === session)
  }

  /** Bindings of a number, over the devices of its namespace. */
  bindingsOfNumber(namespace: number, pasid: number): ModelBinding[] {
    return this.live.bindings.filter(({ is }) => {
      return is.target === pasid && this.namespaceOf(this.deviceWithId(is.device)) === namespace
    })
  }

  scopeName(namespace: number): string {
    return namespace === 0 ? 'HOST' : `DEVICE/${this.deviceWithId(namespace - 1).name}`
  }

  heldBy(session: number, namespace: number): number[] {
    const own: number[] = []
    for (const [pasid, number] of this.numbersIn(namespace)) {
      if (number.session === session && number.state !== 'RESTING') own.push(pasid)
    }
    return own.sort((a, b) => a - b)
  }

  heldCount(session: number): number {
    let count = 0
    for (const id of this.live.numbers.keys()) count += this.heldBy(session, id).length
    return count
  }

  /** The tenant and those above it. A tenant that is configured no more stands alone. */
  chain(id: number): ModelTenant[] {
    const chain: ModelTenant[] = []
    let at = this.tenants.find((tenant) => tenant.id === id)
    while (at !== undefined) {
      chain.push(at)
      const above = at.configured?.parent
      at = above === undefined ? undefined : this.tenants.find(({ name }) => name === above)
    }
    return chain
  }

  /** What is in force. */
  policyOf({ id, configured }: ModelTenant): TenantPolicy | undefined {
    const override = this.live.overrides.get(id)
    return configured === undefined || override === undefined
      ? configured
      : changed(configured, override)
  }

  /** The same text for the same limits, changed at run time or not. */
  limitsOf(name: string): string {
    const tenant = this.tenants.find((one) => one.name === name)
    const policy = tenant && this.policyOf(tenant)
    const { maxPasids, guaranteedPasids, sessionMaxPasids, maxSessions, window } = policy ?? {}
    const limits = [maxPasids, guaranteedPasids, sessionMaxPasids, maxSessions, window]
    const isChanged = tenant !== undefined && this.live.overrides.has(tenant.id)
    return JSON.stringify([policy === undefined, isChanged, limits])
  }

  /** The tenants with what each has taken by itself. */
  quota(): QuotaTree {
    const own = new Map(this.tenants.map(({ id }) => [id, { all: 0, inHost: 0 }]))
    for (const [namespace, numbers] of this.live.numbers) {
      for (const { tenant } of numbers.values()) {
        const counts = own.get(tenant)
        if (counts === undefined) throw new Error(`no tenant ${tenant}`)
        counts.all += 1
        if (namespace === 0) counts.inHost += 1
      }
    }
    const tenants = this.tenants.map((tenant): QuotaTenant => {
      const { id, name } = tenant
      return { name, policy: this.policyOf(tenant), own: own.get(id) ?? { all: 0, inHost: 0 } }
    })
    return new QuotaTree(tenants, this.policy.hostMaxPasids, this.policy.reservations)
  }

  freeInHost(): number {
    let reserved = 0
    for (const { first, last } of this.policy.reservations) reserved += last - first + 1
    return NUMBER_LAST - reserved - this.numbersIn(0).size
  }

  headroom(session: number, namespace: number): number | undefined {
    const tenant = this.live.sessions.get(session)?.record.tenant
    const quota = this.quota()
    const of = quota.named(this.tenants.find(({ id }) => id === tenant)?.name)
    if (of === undefined) throw new Error(`no session ${session}`)
    return quota.headroom(of, this.freeInHost(), namespace === 0)
  }

  isReserved(namespace: number, pasid: number): boolean {
    const windows = namespace === 0 ? this.policy.reservations : []
    return windows.some(({ first, last }) => pasid >= first && pasid <= last)
  }

  isFree(namespace: number, pasid: number): boolean {
    if (pasid < 1 || pasid > NUMBER_LAST || this.isReserved(namespace, pasid)) return false
    return !this.numbersIn(namespace).has(pasid)
  }

  /** The lowest free numbers of the range, so many at most. */
  freeFrom(namespace: number, { first, last }: PasidRange, most: number): number[] {
    const free: number[] = []
    for (let at = first; at <= last && free.length < Math.min(most, 4097); at += 1) {
      if (this.isFree(namespace, at)) free.push(at)
    }
    return free
  }

  /** What it asked for itself, and what holds for its tenant now. */
  sessionLimit(id: number): number {
    const record = this.live.sessions.get(id)?.record
    const [most] = this.chain(record?.tenant ?? -1).flatMap((tenant) => {
      return this.policyOf(tenant)?.sessionMaxPasids ?? []
    })
    return Math.min(record?.maxPasids ?? 0, most ?? this.policy.sessionMaxPasids)
  }

  /** Of one tenant: its own and those of its sessions. */
  requestCount(tenant: number): number {
    let count = this.live.tenantRequests.get(tenant)?.length ?? 0
    for (const { record, requests } of this.live.sessions.values()) {
      if (record.tenant === tenant) count += requests.length
    }
    return count
  }

  #requestShare(): number {
    return Math.max(1, Math.floor(this.policy.maxRequestIds / this.tenants.length))
  }

  // -- what every verb looks at first
  // ----------------------------------------------------------------

  #decide<Answer>(decide: () => Predicted<Answer>): Predicted<Answer> {
    try {
      return decide()
    } catch (error) {
      if (error instanceof Refused) return { kind: 'refused', refusal: error.refusal }
      if (error instanceof Waits) return { kind: 'wait', revision: error.revision }
      throw error
    }
  }

  #needDurable(revision: number): void {
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    if (revision > this.durable) throw new Waits(revision)
  }

  #standingSession(id: number): ModelSession {
    const session = this.live.sessions.get(id)
    if (session === undefined) return refuse({ code: 'SESSION_NOT_FOUND', session: `#${id}` })
    this.#needDurable(session.opened)
    const { name, state } = session.record
    return state === 'CLOSING' ? refuse({ code: 'SESSION_CLOSING', session: name }) : session
  }

  #openSession(id: number): ModelSession {
    const session = this.#standingSession(id)
    const { name, state } = session.record
    return state === 'OPEN' ? session : refuse({ code: 'SESSION_LINGERING', session: name })
  }

  #seen(
    tenant: number,
    requests: readonly ModelRequest[],
    method: RequestMethod,
    key: RequestKey | undefined,
  ): ModelRequest | undefined {
    if (key === undefined) return undefined
    const found = requests.find((one) => one.method === method && one.key.text === key.text)
    if (found === undefined) {
      const givingBack = method === 'FreePasids' || method === 'DetachDevice'
      const limit = this.#requestShare()
      if (this.requestCount(tenant) >= limit && !givingBack) {
        refuse({ code: 'REQUEST_IDS_EXHAUSTED', limit })
      }
      return undefined
    }
    if (found.key.fingerprintHigh === key.fingerprintHigh) return found
    return refuse({ code: 'REQUEST_ID_REUSED', requestId: key.text, method })
  }

  #hasRoom({ record }: ModelSession): boolean {
    return this.requestCount(record.tenant) < this.#requestShare()
  }

  #remember(
    owner: { readonly session: number } | { readonly tenant: number },
    method: RequestMethod,
    key: RequestKey | undefined,
    answer: number,
  ): Part[] {
    if (key === undefined) return []
    const { wall: at } = this
    const tell: Part['tell'] = (data, revision) => {
      const list =
        'session' in owner
          ? data.sessions.get(owner.session)?.requests
          : data.tenantRequests.get(owner.tenant)
      list?.push({ method, key, at, answer, revision })
    }
    return [{ keep: 'WITH_OTHERS', tell }]
  }

  #attached(session: ModelSession, name: string): ModelDevice {
    const device = this.deviceNamed(name)
    const state = device && session.attachments.get(device.id)?.state
    if (device === undefined || state !== 'ATTACHED') {
      return refuse({ code: 'DEVICE_NOT_ATTACHED', device: name })
    }
    return device
  }

  #namespace(session: ModelSession, scope: ScopeName): number {
    if (scope.kind === 'HOST') return 0
    const device = this.deviceNamed(scope.device)
    if (device === undefined || !session.attachments.has(device.id)) {
      return refuse({ code: 'DEVICE_NOT_ATTACHED', device: scope.device })
    }
    if (device.scope === 'DEVICE') return device.id + 1
    return refuse({ code: 'SCOPE_NOT_ALLOWED', device: device.name, scope: 'DEVICE' })
  }

  // -- sessions
  // --------------------------------------------------------------------------------------

  openSession(command: OpenSession): Predicted<{ readonly session: number }> {
    return this.#decide(() => {
      const requests = this.live.tenantRequests.get(command.tenant) ?? []
      const seen = this.#seen(command.tenant, requests, 'OpenSession', command.request)
      const { owner, delegate } = command
      if (seen !== undefined) {
        const opened = this.live.sessions.get(seen.answer)?.record
        if (opened === undefined) return refuse({ code: 'SESSION_NOT_FOUND' })
        const isOwner =
          opened.owner === undefined || owner === undefined
            ? opened.owner === owner
            : isOneProcess(opened.owner, owner)
        const isDelegate = opened.delegate === delegate
        const mayRepeat = isDelegate && (delegate !== undefined || isOwner)
        if (!mayRepeat) refuse({ code: 'NOT_OWNER', session: opened.name, pid: owner?.pid ?? 0 })
        const settle = (answer: { readonly session: number }): Part[] => {
          check(answer.session === seen.answer, 'the first session is answered again')
          return []
        }
        return { kind: 'accepted', repeats: seen.revision, settle }
      }
      if (delegate !== undefined && owner === undefined) refuse({ code: 'OWNER_TOKEN_INVALID' })
      const { maxSessions } = this.policy
      if (this.live.sessions.size >= maxSessions) {
        refuse({ code: 'SESSIONS_EXHAUSTED', limit: maxSessions })
      }
      for (const tenant of this.chain(command.tenant)) {
        const policy = this.policyOf(tenant)
        const limit = policy === undefined ? 0 : policy.maxSessions
        const open = [...this.live.sessions.values()].filter(({ record }) => {
          return this.chain(record.tenant).includes(tenant)
        })
        if (limit !== undefined && open.length >= limit) {
          refuse({ code: 'SESSIONS_EXHAUSTED', limit })
        }
      }
      return {
        kind: 'accepted',
        repeats: 0,
        settle: ({ session }) => this.#opened(command, session),
      }
    })
  }

  #opened(command: OpenSession, id: number): Part[] {
    check(!this.sessionIds.has(id), `session id ${id} was given before`)
    this.sessionIds.add(id)
    const record: SessionRecord = {
      id: id as SessionRecord['id'],
      name: command.name,
      tenant: command.tenant,
      tokenHash: command.tokenHash,
      maxPasids: command.maxPasids ?? NUMBER_LAST,
      labels: command.labels,
      openedAt: this.wall as SessionRecord['openedAt'],
      owner: command.owner,
      delegate: command.delegate,
      lingerMs: Math.min(command.lingerMs, this.policy.lingerMsMax),
      state: 'OPEN',
      cause: undefined,
      withheld: false,
      unproven: false,
    }
    const tell: Part['tell'] = (data, opened) => {
      data.sessions.set(id, { record, opened, attachments: new Map(), requests: [] })
    }
    const owner = { tenant: command.tenant }
    const kept = this.#remember(owner, 'OpenSession', command.request, id)
    return [{ keep: false, tell }, ...kept]
  }

  #putRecord(record: SessionRecord, keep: boolean): Part {
    const tell: Part['tell'] = (data) => {
      const found = data.sessions.get(record.id)
      if (found === undefined) throw new Error(`session ${record.id} is there`)
      found.record = record
    }
    return { keep, tell }
  }

  closeSession(command: CloseSession): Predicted<Shut> {
    return this.#decide(() => {
      const { record } = this.#standingSession(command.session)
      return { kind: 'accepted', repeats: 0, settle: (a) => this.#shut(record, command, a) }
    })
  }

  #shut(
    before: SessionRecord,
    command: Pick<CloseSession, 'cause' | 'withhold' | 'unproven'>,
    answer: Shut,
  ): Part[] {
    const { id } = before
    const { cause, withhold: withheld } = command
    const unproven = command.unproven && this.heldCount(id) > 0
    const attachments = this.live.sessions.get(id)?.attachments.values() ?? []
    let complete = [...attachments].every((a) => a.revision <= this.durable)
    for (const [namespace, numbers] of this.live.numbers) {
      for (const pasid of this.heldBy(id, namespace)) {
        if ((numbers.get(pasid)?.generation ?? 0) > this.durable) complete = false
      }
    }
    check(answer.complete === complete, `closing is complete: ${complete}`)
    const shut = this.#putRecord({ ...before, state: 'CLOSING', cause, withheld, unproven }, true)
    return complete ? [shut, ...this.#ending(id, answer, withheld || unproven)] : [shut]
  }

  loseOwner(command: LoseOwner): Predicted<Lost> {
    return this.#decide(() => {
      const { record } = this.#standingSession(command.session)
      const { owner, cause, withhold } = command
      const isLost = record.owner !== undefined && isOneProcess(record.owner, owner)
      const lingers = record.lingerMs > 0
      return {
        kind: 'accepted',
        repeats: 0,
        settle: ({ closing }) => {
          const ends = isLost && record.state === 'OPEN' && !lingers
          check((closing !== undefined) === ends, `it ends: ${ends}`)
          if (closing !== undefined) return this.#shut(record, command, closing)
          if (!isLost || record.state !== 'OPEN') return []
          const lingering = { state: 'LINGERING', cause, withheld: withhold } as const
          return [this.#putRecord({ ...record, ...lingering }, true)]
        },
      }
    })
  }

  endLingering(command: Pick<CloseSession, 'session' | 'withhold' | 'unproven'>): Predicted<Lost> {
    return this.#decide(() => {
      const { record } = this.#standingSession(command.session)
      const settle = ({ closing }: Lost): Part[] => {
        const ends = record.state === 'LINGERING'
        check((closing !== undefined) === ends, `it ends: ${ends}`)
        if (closing === undefined) return []
        const withhold = command.withhold || record.withheld
        return this.#shut(record, { ...command, withhold, cause: 'LINGER' }, closing)
      }
      return { kind: 'accepted', repeats: 0, settle }
    })
  }

  resumeSession(command: ResumeSession): Predicted<number> {
    return this.#decide(() => {
      const { record } = this.#standingSession(command.session)
      const { owner, delegate } = command
      const taken = record.state === 'OPEN' ? record.owner : undefined
      if (taken !== undefined && !isOneProcess(taken, owner)) {
        refuse({ code: 'NOT_OWNER', session: record.name, pid: owner.pid })
      }
      const heir = { owner, delegate, state: 'OPEN', cause: undefined, withheld: false } as const
      const after: SessionRecord = { ...record, ...heir }
      const settle = (answer: number): Part[] => {
        check(answer === record.id, 'the session resumed')
        return taken === undefined ? [this.#putRecord(after, false)] : []
      }
      return { kind: 'accepted', repeats: 0, settle }
    })
  }

  resumeReclaim(): Predicted<readonly number[]> {
    const withheld = [...this.live.sessions.values()].filter(({ record }) => isHeldBack(record))
    const settle = (answer: readonly number[]): Part[] => {
      const ids = withheld.map(({ record }) => Number(record.id)).sort((a, b) => a - b)
      check(
        same(
          [...answer].sort((a, b) => a - b),
          ids,
        ),
        `resumed ${answer}, not ${ids}`,
      )
      return withheld.map(({ record }) => {
        if (record.state === 'OPEN') return this.#unproven(record.id, false)
        return this.#putRecord({ ...record, withheld: false, unproven: false }, true)
      })
    }
    return { kind: 'accepted', repeats: 0, settle }
  }

  // -- operators
  // ---------------------------------------------------------------------------------------

  releaseAllocation(command: ReleaseAllocation): Predicted<Freeing & { readonly session: number }> {
    return this.#decide(() => {
      const { namespace, pasid } = command
      const scope = this.scopeName(namespace)
      const number = this.numbersIn(namespace).get(pasid)
      if (number === undefined) return refuse({ code: 'PASID_NOT_FOUND', pasid, scope })
      const { session, generation: current } = number
      if (current !== command.generation) {
        refuse({ code: 'GENERATION_STALE', pasid, scope, generation: command.generation, current })
      }
      if (number.state !== 'HELD') refuse({ code: 'PASID_BEING_FREED', pasid })
      this.#needDurable(current)
      const bound = this.bindingsOfNumber(namespace, pasid)
      const settle = (answer: Freeing & { readonly session: number }): Part[] => {
        check(answer.session === session && answer.freed === 1, `one number of ${session}`)
        const said = answer.pending.flatMap(({ runs }) => numbersOf(runs))
        const waits = this.#waits(session)
        check(same(said, waits || bound.length > 0 ? [pasid] : []), `pending: ${said}`)
        const parts = this.#freeing(session, namespace, [pasid], waits)
        return [...parts, ...this.#unbinding(bound, answer.teardown)]
      }
      return { kind: 'accepted', repeats: 0, settle }
    })
  }

  updateTenant(command: UpdateTenant, isStale: boolean): Predicted<number> {
    return this.#decide(() => {
      const { tenant: name, change } = command
      const tenant = this.tenants.find((one) => one.name === name)
      const { configured, id } = tenant ?? {}
      if (configured === undefined || id === undefined) {
        return refuse({ code: 'TENANT_NOT_FOUND', tenant: name })
      }
      if (isStale) refuse({ code: 'ETAG_STALE', tenant: name, etag: command.etag })
      const before = this.live.overrides.get(id)
      const all = { ...before, ...(change === 'REVERT' ? {} : change) }
      const override = change === 'REVERT' || Object.keys(all).length === 0 ? undefined : all
      const policy = override === undefined ? configured : changed(configured, override)
      const quota = this.quota()
      const tenants = quota.tenants.map((one) => (one.name === name ? { ...one, policy } : one))
      const after = new QuotaTree(tenants, quota.hostLimit, quota.reservations)
      const changedOne = after.named(name)
      if (changedOne !== undefined && !after.keeps(changedOne)) {
        const value = `${policy.guaranteedPasids}`
        refuse({ code: 'INVALID_ARGUMENT', field: 'tenant.guaranteed_pasids', value })
      }
      const isNew = JSON.stringify(before) !== JSON.stringify(override)
      const tell: Part['tell'] = (data) => {
        if (override === undefined) data.overrides.delete(id)
        else data.overrides.set(id, override)
      }
      const settle = (answer: number): Part[] => {
        check(answer === id, 'the tenant meant')
        return isNew ? [{ keep: false, tell }] : []
      }
      return { kind: 'accepted', repeats: 0, settle }
    })
  }

  /** A session that goes on: what it gives back waits from now on. */
  doubted(id: number): Part[] {
    const record = this.live.sessions.get(id)?.record
    if (record === undefined || record.state === 'CLOSING' || record.unproven) return []
    return [this.#unproven(id, true)]
  }

  proved(id: number): Part[] {
    const record = this.live.sessions.get(id)?.record
    return record?.unproven === true ? [this.#unproven(id, false)] : []
  }

  /** Whatever else becomes of the session. */
  #unproven(id: number, unproven: boolean): Part {
    const tell: Part['tell'] = (data) => {
      const found = data.sessions.get(id)
      if (found === undefined) throw new Error(`session ${id} is there`)
      found.record = { ...found.record, unproven }
    }
    return { keep: true, tell }
  }

  /** Everything of a closing session is begun to end. */
  resumed(id: number, answer: Closing): Part[] {
    const record = this.live.sessions.get(id)?.record
    return this.#ending(id, answer, record !== undefined && isHeldBack(record))
  }

  #ending(id: number, answer: Closing, withheld: boolean): Part[] {
    const parts: Part[] = []
    let freed = 0
    let pending: string[] = []
    for (const [namespace, numbers] of this.live.numbers) {
      const own = this.heldBy(id, namespace)
      const held = own.filter((pasid) => numbers.get(pasid)?.state === 'HELD')
      freed += held.length
      parts.push(...this.#freeing(id, namespace, held, withheld))
      const waiting = own.filter((pasid) => {
        const bound = this.bindingsOfNumber(namespace, pasid).length > 0
        return withheld || bound || numbers.get(pasid)?.state === 'PENDING'
      })
      pending = pending.concat(waiting.map((pasid) => `${namespace}:${pasid}`))
    }
    check(answer.freed === freed, `${answer.freed} freed at the end, not ${freed}`)
    const said = answer.pending.flatMap(({ namespace, runs }) => {
      return numbersOf(runs).map((pasid) => `${namespace}:${pasid}`)
    })
    check(same(said.sort(), pending.sort()), `pending at the end: ${said}, not ${pending}`)
    parts.push(...this.#unbinding(this.bindingsOf(id), answer.teardown))
    const session = this.live.sessions.get(id)
    const devices = [...(session?.attachments.keys() ?? [])]
    check(same([...answer.devices].sort(), devices.sort()), 'all devices are let go')
    for (const device of devices) {
      if (session?.attachments.get(device)?.state === 'DETACHING') continue
      parts.push(this.#attachment(id, device, 'DETACHING', true))
    }
    return parts
  }

  closed(id: number): Part[] {
    const session = this.live.sessions.get(id)
    if (session?.record.state !== 'CLOSING') return []
    const left = this.heldCount(id) + this.bindingsOf(id).length + session.attachments.size
    if (left > 0) return []
    return [{ keep: true, tell: (data) => data.sessions.delete(id) }]
  }

  // -- devices
  // ---------------------------------------------------------------------------------------

  #attachment(
    session: number,
    device: number,
    state: ModelAttachment['state'] | undefined,
    keep: boolean,
  ): Part {
    const tell: Part['tell'] = (data, revision) => {
      const attachments = data.sessions.get(session)?.attachments
      const began = attachments?.get(device)?.revision ?? revision
      if (state === undefined) attachments?.delete(device)
      else attachments?.set(device, { state, revision: began })
    }
    return { keep, tell }
  }

  attachDevice(
    command: AttachDevice,
  ): Predicted<{ readonly device: number; readonly begin: boolean }> {
    return this.#decide(() => {
      const session = this.#openSession(command.session)
      const { id, tenant } = session.record
      const seen = this.#seen(
        session.record.tenant,
        session.requests,
        'AttachDevice',
        command.request,
      )
      const device = this.deviceNamed(command.device)
      const [allowed] = this.chain(tenant).flatMap(({ configured }) => configured?.devices ?? [])
      const mayUse = allowed?.has(command.device) ?? true
      if (device?.facts === undefined || !mayUse) {
        return refuse({ code: 'DEVICE_NOT_FOUND', device: command.device })
      }
      const attachment = session.attachments.get(device.id)
      const again = seen !== undefined && attachment !== undefined
      if (again && attachment.state !== 'DETACHING') {
        const settle = (answer: { readonly device: number; readonly begin: boolean }): Part[] => {
          check(answer.device === device.id && !answer.begin, 'the attachment stands')
          return []
        }
        return { kind: 'accepted', repeats: seen.revision, settle }
      }
      if (attachment !== undefined) refuse({ code: 'DEVICE_ALREADY_ATTACHED' })
      const others = [...this.live.sessions.values()].filter((s) => s.attachments.has(device.id))
      const shared = device.facts.shared && device.scope === 'HOST'
      const numbers = device.scope === 'DEVICE' ? [...this.numbersIn(device.id + 1).values()] : []
      const foreign = numbers.some((one) => one.state !== 'RESTING' && one.session !== id)
      if (!shared && (others.length > 0 || foreign)) {
        refuse({ code: 'DEVICE_IN_USE', device: device.name })
      }
      if (session.attachments.size >= 64) refuse({ code: 'DEVICES_EXHAUSTED', limit: 64 })
      const key = seen === undefined ? command.request : undefined
      const parts = [
        this.#attachment(id, device.id, 'ATTACHING', false),
        ...this.#remember({ session: id }, 'AttachDevice', key, 0),
      ]
      const settle = (answer: { readonly device: number; readonly begin: boolean }): Part[] => {
        check(answer.device === device.id && answer.begin, 'the attachment is begun')
        return parts
      }
      return { kind: 'accepted', repeats: 0, settle }
    })
  }

  attached(session: number, device: number, done: boolean): Part[] {
    const state = this.live.sessions.get(session)?.attachments.get(device)?.state
    if (state !== 'ATTACHING') return []
    return [this.#attachment(session, device, done ? 'ATTACHED' : undefined, true)]
  }

  detachDevice(command: DetachDevice): Predicted<Detaching> {
    return this.#decide(() => {
      const session = this.#openSession(command.session)
      const { id } = session.record
      const seen = this.#seen(
        session.record.tenant,
        session.requests,
        'DetachDevice',
        command.request,
      )
      const device = this.deviceNamed(command.device)
      const attachment = device && session.attachments.get(device.id)
      if (seen !== undefined && attachment?.state !== 'DETACHING') {
        const settle = (answer: Detaching): Part[] => {
          check(answer.device === undefined, 'a detaching repeated touches nothing')
          return []
        }
        return { kind: 'accepted', repeats: seen.revision, settle }
      }
      if (device === undefined || attachment === undefined) {
        return refuse({ code: 'DEVICE_NOT_ATTACHED', device: command.device })
      }
      this.#needDurable(attachment.revision)
      const own = this.bindingsOf(id).filter(({ is }) => is.device === device.id)
      const going = attachment.state === 'DETACHING'
      const parts = going ? [] : [this.#attachment(id, device.id, 'DETACHING', true)]
      const fresh = seen === undefined && this.#hasRoom(session)
      const key = fresh ? command.request : undefined
      parts.push(...this.#remember({ session: id }, 'DetachDevice', key, 0))
      return {
        kind: 'accepted',
        repeats: 0,
        settle: (answer) => {
          check(answer.device === device.id, 'the device is let go')
          return [...this.#unbinding(own, answer.teardown), ...parts]
        },
      }
    })
  }

  detached(session: number, device: number): Part[] {
    const state = this.live.sessions.get(session)?.attachments.get(device)?.state
    return state === 'DETACHING' ? [this.#attachment(session, device, undefined, true)] : []
  }

  // -- numbers
  // ---------------------------------------------------------------------------------------

  allocate(
    command: AllocatePasids,
  ): Predicted<{ readonly runs: readonly PasidRun[]; readonly generation: number }> {
    return this.#decide(() => {
      const session = this.#openSession(command.session)
      const { ask } = command
      const asked =
        ask.kind === 'ONE' ? 1 : ask.kind === 'BLOCK' ? 2 ** ask.order : ask.pasids.length
      const seen = this.#seen(
        session.record.tenant,
        session.requests,
        'AllocatePasids',
        command.request,
      )
      if (seen !== undefined) {
        return {
          kind: 'accepted',
          repeats: seen.revision,
          settle: ({ runs, generation }) => {
            const numbers = numbersOf(runs)
            check(generation === seen.revision, 'a repeated grant has its generation')
            check(numbers[0] === seen.answer && numbers.length === asked, 'the same numbers again')
            if (ask.kind === 'EXACT') check(same(numbers, ask.pasids), 'the numbers asked for')
            return []
          },
        }
      }
      const namespace = this.#namespace(session, command.scope)
      const range = this.#rangeFor(session, namespace, command)
      this.#checkQuota(session, namespace, asked)
      this.#checkRoom(namespace, command, range, asked)
      return {
        kind: 'accepted',
        repeats: 0,
        settle: ({ runs, generation }) => {
          check(generation === this.revision + 1, 'the generation is the revision of the grant')
          this.#checkChosen(namespace, command, range, numbersOf(runs))
          return this.#granted(session, namespace, command, numbersOf(runs))
        },
      }
    })
  }

  #rangeFor(session: ModelSession, namespace: number, command: AllocatePasids): PasidRange {
    let bits = 20
    for (const name of command.devices) {
      const device = this.#attached(session, name)
      if (this.namespaceOf(device) !== namespace) {
        refuse({ code: 'SCOPE_NOT_ALLOWED', device: name, scope: this.scopeName(namespace) })
      }
      bits = Math.min(bits, device.facts?.pasidBits ?? 0)
    }
    for (const id of command.devices.length > 0 ? [] : session.attachments.keys()) {
      const device = this.deviceWithId(id)
      if (this.namespaceOf(device) === namespace)
        bits = Math.min(bits, device.facts?.pasidBits ?? 20)
    }
    let [first, last] = [1, NUMBER_LAST]
    if (namespace === 0) {
      for (const tenant of this.chain(session.record.tenant)) {
        const window = this.policyOf(tenant)?.window
        first = Math.max(first, window?.first ?? first)
        last = Math.min(last, window?.last ?? last)
      }
    }
    first = Math.max(first, command.range.first)
    last = Math.min(last, command.range.last, 2 ** bits - 1)
    if (first > last) refuse({ code: 'RANGE_EMPTY', asked: command.range, widthBits: bits })
    return { first, last }
  }

  #checkQuota(session: ModelSession, namespace: number, asked: number): void {
    const { id, name: subject, tenant: of } = session.record
    const limit = this.sessionLimit(id)
    const used = this.heldCount(id)
    if (used + asked > limit) {
      const exceeded = { code: 'QUOTA_EXCEEDED', level: 'SESSION', aside: 0 } as const
      refuse({ ...exceeded, subject, limit, used, asked })
    }
    const quota = this.quota()
    const tenant = quota.named(this.tenants.find(({ id: at }) => at === of)?.name)
    if (tenant === undefined) throw new Error(`no tenant ${of}`)
    const refused = quota.refusal(tenant, asked, this.freeInHost(), namespace === 0)
    if (refused !== undefined) refuse(refused)
  }

  /** Refuses where nothing fits; looks at every number, or block, of the range. */
  #checkRoom(namespace: number, command: AllocatePasids, range: PasidRange, asked: number): void {
    const { ask } = command
    const { first } = range
    // A reservation up to the last number: nothing to look at there.
    const end = this.policy.reservations.find(({ last: at }) => at === NUMBER_LAST)
    const last =
      namespace === 0 && end !== undefined ? Math.min(range.last, end.first - 1) : range.last
    if (ask.kind === 'EXACT') {
      for (const pasid of ask.pasids) {
        if (pasid < first || pasid > range.last) {
          refuse({ code: 'PASID_OUT_OF_RANGE', pasid, allowed: range })
        }
        if (this.isReserved(namespace, pasid)) refuse({ code: 'PASID_RESERVED', pasid })
        if (!this.isFree(namespace, pasid)) refuse({ code: 'PASID_TAKEN', pasid })
      }
      return
    }
    for (let at = Math.ceil(first / asked) * asked; at + asked - 1 <= last; at += asked) {
      let fits = true
      for (let i = at; fits && i < at + asked; i += 1) fits = this.isFree(namespace, i)
      if (fits) return
    }
    let free = 0
    for (let at = first; at <= last; at += 1) if (this.isFree(namespace, at)) free += 1
    const scope = this.scopeName(namespace)
    refuse({ code: 'NAMESPACE_EXHAUSTED', scope, range, asked, free })
  }

  #checkChosen(
    namespace: number,
    command: AllocatePasids,
    range: PasidRange,
    numbers: readonly number[],
  ): void {
    const { ask } = command
    const [first = 0] = numbers
    for (const pasid of numbers) {
      check(this.isFree(namespace, pasid), `${pasid} was free`)
      check(pasid >= range.first && pasid <= range.last, `${pasid} is in the range`)
      const before = this.live.generations.get(`${namespace}:${pasid}`) ?? 0
      check(this.revision + 1 > before, `the generation of ${pasid} is a new one`)
    }
    if (ask.kind === 'EXACT') check(same(numbers, ask.pasids), 'the exact numbers')
    if (ask.kind === 'ONE') check(numbers.length === 1, 'one number')
    if (ask.kind !== 'BLOCK') return
    const length = 2 ** ask.order
    check(numbers.length === length && first % length === 0, 'a naturally aligned block')
    check(numbers.at(-1) === first + length - 1, 'a block without gaps')
  }

  #granted(
    session: ModelSession,
    namespace: number,
    command: AllocatePasids,
    numbers: readonly number[],
  ): Part[] {
    const { id, tenant } = session.record
    const { wall: at } = this
    const tell: Part['tell'] = (data, generation) => {
      const taken = { session: id, tenant, generation, at, until: 0, released: 0 }
      for (const pasid of numbers) {
        data.numbers.get(namespace)?.set(pasid, { state: 'HELD', ...taken })
        data.generations.set(`${namespace}:${pasid}`, generation)
      }
      if (Object.keys(command.labels).length > 0) data.labels.set(generation, command.labels)
    }
    const owner = { session: id }
    const kept = this.#remember(owner, 'AllocatePasids', command.request, numbers[0] ?? 0)
    return [{ keep: false, tell }, ...kept]
  }

  free(command: FreePasids, asOf: number): Predicted<Freeing> {
    return this.#decide(() => {
      const session = this.#openSession(command.session)
      const { id } = session.record
      const seen = this.#seen(
        session.record.tenant,
        session.requests,
        'FreePasids',
        command.request,
      )
      if (seen !== undefined) {
        const settle = (answer: Freeing): Part[] => {
          check(answer.freed === seen.answer, 'the first count again')
          return []
        }
        return { kind: 'accepted', repeats: seen.revision, settle }
      }
      const namespace = this.#namespaceToFree(session, command.scope)
      const numbers = this.numbersIn(namespace)
      const held = this.#meant(id, namespace, command, asOf)
      this.#needDurable(Math.max(0, ...held.map((pasid) => numbers.get(pasid)?.generation ?? 0)))
      const room = this.#hasRoom(session)
      const bound = held.filter((pasid) => this.bindingsOfNumber(namespace, pasid).length > 0)
      const bindings = bound.flatMap((pasid) => this.bindingsOfNumber(namespace, pasid))
      return {
        kind: 'accepted',
        repeats: 0,
        settle: (answer) => {
          check(answer.freed === held.length, `${answer.freed} freed, not ${held.length}`)
          const said = answer.pending.flatMap(({ runs }) => numbersOf(runs))
          const waits = this.#waits(id)
          const pending = waits ? held : bound
          check(same(said, pending), `pending: ${said}, not ${pending}`)
          const key = room ? command.request : undefined
          const kept = this.#remember({ session: id }, 'FreePasids', key, held.length)
          const parts = this.#freeing(id, namespace, held, waits)
          return [...parts, ...this.#unbinding(bindings, answer.teardown), ...kept]
        },
      }
    })
  }

  #namespaceToFree(session: ModelSession, scope: ScopeName): number {
    const device = scope.kind === 'DEVICE' ? this.deviceNamed(scope.device) : undefined
    if (device?.scope === 'DEVICE' && this.heldBy(session.record.id, device.id + 1).length > 0) {
      return device.id + 1
    }
    return this.#namespace(session, scope)
  }

  #meant(session: number, namespace: number, command: FreePasids, asOf: number): number[] {
    const { what } = command
    const numbers = this.numbersIn(namespace)
    if (what.kind === 'NUMBERS') {
      for (const pasid of what.pasids) {
        if (numbers.get(pasid)?.session === session) continue
        refuse({ code: 'PASID_NOT_FOUND', pasid, scope: this.scopeName(namespace) })
      }
      return what.pasids.filter((pasid) => numbers.get(pasid)?.state === 'HELD')
    }
    const { first, last } = what.range
    return this.heldBy(session, namespace).filter((pasid) => {
      const number = numbers.get(pasid)
      if (pasid < first || pasid > last || number?.state !== 'HELD') return false
      return number.generation <= asOf
    })
  }

  /** What it gives back may be attached where nobody sees it. */
  #waits(session: number): boolean {
    return this.live.sessions.get(session)?.record.unproven === true
  }

  /** Held numbers, given back: those bound nowhere rest at once, the others wait; or all do. */
  #freeing(session: number, namespace: number, held: readonly number[], withheld = false): Part[] {
    if (held.length === 0) return []
    const idle = held.filter((pasid) => {
      return !withheld && this.bindingsOfNumber(namespace, pasid).length === 0
    })
    const until = this.now + this.policy.holdMs
    const tell: Part['tell'] = (data, released) => {
      const numbers = data.numbers.get(namespace)
      for (const pasid of held) {
        const number = numbers?.get(pasid)
        if (number === undefined) throw new Error(`${pasid} is held`)
        if (idle.includes(pasid))
          numbers?.set(pasid, { ...number, state: 'RESTING', until, released })
        else numbers?.set(pasid, { ...number, state: 'PENDING' })
      }
    }
    check(session > 0, 'a session frees')
    return [{ keep: true, tell }]
  }

  /** All that a session has given back and that does not rest. */
  pendingOf(session: number): Pending {
    return [...this.live.numbers].map(([namespace, numbers]) => {
      const waiting = this.heldBy(session, namespace).filter((pasid) => {
        return numbers.get(pasid)?.state === 'PENDING'
      })
      return { namespace, runs: waiting.map((first) => ({ first, count: 1 })) }
    })
  }

  /** `holdOver`: those of an unproven session too. */
  freed(session: number, pending: Pending, holdOver = false): Part[] {
    const parts: Part[] = []
    const until = this.now + this.policy.holdMs
    const record = this.live.sessions.get(session)?.record
    if (record === undefined || record.withheld || (record.unproven && !holdOver)) return []
    for (const { namespace, runs } of pending) {
      const clear = numbersOf(runs).filter((pasid) => {
        const number = this.numbersIn(namespace).get(pasid)
        if (number?.state !== 'PENDING' || number.session !== session) return false
        return this.bindingsOfNumber(namespace, pasid).length === 0
      })
      if (clear.length === 0) continue
      const tell: Part['tell'] = (data, released) => {
        const numbers = data.numbers.get(namespace)
        for (const pasid of clear) {
          const number = numbers?.get(pasid)
          if (number === undefined) throw new Error(`${pasid} is pending`)
          numbers?.set(pasid, { ...number, state: 'RESTING', until, released })
        }
      }
      parts.push({ keep: true, tell })
    }
    return parts
  }

  // -- bindings
  // --------------------------------------------------------------------------------------

  #put(
    at: { readonly device: number; readonly target: number },
    to: ModelBinding | undefined,
  ): Part {
    const tell: Part['tell'] = (data) => {
      data.bindings = data.bindings.filter(({ is }) => {
        return is.device !== at.device || is.target !== at.target
      })
      if (to !== undefined) data.bindings.push(to)
    }
    return { keep: true, tell }
  }

  #unbinding(own: readonly ModelBinding[], teardown: readonly Binding[]): Part[] {
    const keys = (list: readonly { device: number; target: number }[]): string[] => {
      return list.map(({ device, target }) => `${device}:${target}`).sort()
    }
    const wanted = keys(own.map(({ is }) => is))
    check(same(keys(teardown), wanted), `torn down: ${keys(teardown)}, not ${wanted}`)
    const standing = own.filter(({ is }) => is.state !== 'UNBINDING')
    return standing.map(({ stamp, is }) => {
      return this.#put(is, { stamp, is: { ...is, previous: undefined, state: 'UNBINDING' } })
    })
  }

  bind(command: BindPasid): Predicted<readonly ModelStep[]> {
    return this.#decide(() => {
      const session = this.#openSession(command.session)
      const steps: { readonly step: ModelStep; readonly after: ModelBinding }[] = []
      for (const name of command.devices) {
        const device = this.#attached(session, name)
        const { facts } = device
        if (facts === undefined) return refuse({ code: 'DEVICE_NOT_FOUND', device: name })
        this.#needDurable(session.attachments.get(device.id)?.revision ?? 0)
        const generation = this.#target(session, device, facts, command)
        this.#needDurable(generation)
        this.#checkTable(facts, command)
        const guestPasid = this.#guestPasid(device, facts, command)
        const before = this.bindingAt(device.id, command.target)
        const standing = before?.is.state === 'BOUND' ? before.is : undefined
        if (before !== undefined && !standing && before.is.state !== 'LOST') {
          refuse({ code: 'BIND_SUPERSEDED', device: name, target: command.target })
        }
        if (standing && !command.replace) refuse({ code: 'ALREADY_BOUND', device: name })
        if (!standing && command.replace) refuse({ code: 'NOT_BOUND', device: name })
        this.#stamp += 1
        const { target, table, domain } = command
        const previous = standing && { table: standing.table, domain: standing.domain }
        const is: Binding = {
          session: command.session,
          device: device.id as Binding['device'],
          target,
          generation: generation as Binding['generation'],
          table,
          previous,
          domain,
          guestPasid: guestPasid as Binding['guestPasid'],
          state: 'BINDING',
          cause: '',
        }
        const step = { device: device.id, target, stamp: this.#stamp, before }
        steps.push({ step, after: { stamp: this.#stamp, is } })
      }
      return {
        kind: 'accepted',
        repeats: 0,
        settle: (answer) => {
          check(answer.length === steps.length, 'a step a device')
          this.steps = steps.map(({ step }) => step)
          return steps.map(({ after }) => this.#put(after.is, after))
        },
      }
    })
  }

  #target(
    session: ModelSession,
    device: ModelDevice,
    facts: DeviceFacts,
    { target }: BindPasid,
  ): number {
    if (target === 0) {
      const shared = facts.shared && device.scope === 'HOST'
      return shared ? refuse({ code: 'RID_NOT_AVAILABLE', device: device.name }) : 0
    }
    const namespace = this.namespaceOf(device)
    const number = this.numbersIn(namespace).get(target)
    if (number?.session !== session.record.id || number.state === 'RESTING') {
      return refuse({ code: 'PASID_NOT_FOUND', pasid: target, scope: this.scopeName(namespace) })
    }
    if (number.state === 'PENDING') refuse({ code: 'PASID_BEING_FREED', pasid: target })
    const { pasidBits: widthBits } = facts
    if (target >= 2 ** widthBits) refuse({ code: 'PASID_BEYOND_DEVICE_WIDTH', widthBits })
    return number.generation
  }

  #checkTable(facts: DeviceFacts, { table }: BindPasid): void {
    const code = 'TABLE_UNSUPPORTED'
    if (table.kind === 'PASS_THROUGH') {
      if (!facts.passThrough) refuse({ code, field: 'table' })
      return
    }
    const field = 'table.first_stage'
    if (!facts.addressWidths.includes(table.width))
      refuse({ code, field: `${field}.address_width` })
    if (table.supervisor && !facts.supervisorRequests)
      refuse({ code, field: `${field}.supervisor` })
    if (table.extendedAccessed && !facts.extendedAccessed) {
      refuse({ code, field: `${field}.extended_accessed` })
    }
  }

  #guestPasid(device: ModelDevice, facts: DeviceFacts, command: BindPasid): number | undefined {
    const { target } = command
    if (target === 0) return undefined
    const guest: number = command.guestPasid ?? target
    if (facts.translation === 'NONE' && guest !== target) {
      refuse({ code: 'GUEST_PASID_MISMATCH', pasid: target, guestPasid: guest })
    }
    const holder = this.live.bindings.find(({ is }) => {
      const own = is.session === command.session && is.device === device.id
      return own && is.guestPasid === guest && is.target !== target
    })
    if (holder !== undefined) {
      refuse({ code: 'GUEST_PASID_TAKEN', guestPasid: guest, pasid: holder.is.target })
    }
    return guest
  }

  bound(step: ModelStep, end: 'BOUND' | 'RESTORED' | 'GONE' | { readonly lost: string }): Part[] {
    const now = this.bindingAt(step.device, step.target)
    if (now?.is.state !== 'BINDING' || now.stamp !== step.stamp) return []
    const { stamp, is } = now
    if (end === 'GONE') return [this.#put(step, undefined)]
    if (end === 'BOUND') {
      return [this.#put(step, { stamp, is: { ...is, previous: undefined, state: 'BOUND' } })]
    }
    if (end !== 'RESTORED') {
      const lost = { ...is, previous: undefined, state: 'LOST', cause: end.lost } as const
      return [this.#put(step, { stamp, is: lost })]
    }
    const old = step.before?.is ?? is
    const holder = this.live.bindings.find((other) => {
      const { guestPasid: guest, session, device: on } = other.is
      const own = session === old.session && on === step.device
      return own && guest !== undefined && guest === old.guestPasid
    })
    if (holder === undefined || holder.is.target === step.target) {
      return [this.#put(step, { stamp, is: { ...old, state: 'BOUND', cause: '' } })]
    }
    const cause = `guest PASID ${old.guestPasid} was bound elsewhere while this was being replaced`
    const lost = { ...old, guestPasid: undefined, state: 'LOST', cause } as const
    return [this.#put(step, { stamp, is: lost })]
  }

  lost(device: number, target: number, cause: string): Part[] {
    const now = this.bindingAt(device, target)
    if (now === undefined) return []
    const { stamp, is } = now
    const lost = { ...is, previous: undefined, state: 'LOST', cause } as const
    return [this.#put(is, { stamp, is: lost })]
  }

  unbind(command: UnbindPasids): Predicted<{ readonly teardown: readonly Binding[] }> {
    return this.#decide(() => {
      const session = this.#openSession(command.session)
      const own = this.#bindingsMeant(session, command)
      const settle = ({ teardown }: { readonly teardown: readonly Binding[] }): Part[] => {
        return this.#unbinding(own, teardown)
      }
      return { kind: 'accepted', repeats: 0, settle }
    })
  }

  #bindingsMeant(session: ModelSession, { what }: UnbindPasids): ModelBinding[] {
    const own = this.bindingsOf(session.record.id)
    if (what.kind === 'ALL') return own
    if (what.kind === 'DEVICE') {
      const { id } = this.#attached(session, what.device)
      return own.filter(({ is }) => is.device === id)
    }
    const devices = what.devices.map((name) => this.#attached(session, name))
    const { target } = what
    const meant = own.filter(({ is }) => {
      if (is.target !== target) return false
      return devices.length === 0 || devices.some(({ id }) => id === is.device)
    })
    for (const { id, name } of devices) {
      if (!meant.some(({ is }) => is.device === id))
        refuse({ code: 'NOT_BOUND', device: name, target })
    }
    if (meant.length === 0) refuse({ code: 'NOT_BOUND', device: '', target })
    return meant
  }

  unbound(done: readonly { readonly device: number; readonly target: number }[]): Part[] {
    const parts: Part[] = []
    for (const { device, target } of done) {
      const now = this.bindingAt(device, target)
      if (now?.is.state === 'UNBINDING') parts.push(this.#put(now.is, undefined))
    }
    return parts
  }

  invalidate(command: Invalidate): Predicted<readonly { readonly bindings: readonly Binding[] }[]> {
    return this.#decide(() => {
      const session = this.#openSession(command.session)
      const wanted = command.entries.map((entry, i) => {
        const { granularity, caches } = entry
        const has = (cache: string): boolean => caches.some((named) => named === cache)
        const { kind } = granularity
        const unfit =
          (kind === 'DOMAIN' && has('DEVICE_TLB')) || (kind === 'ADDRESS' && has('PASID_CACHE'))
        if (unfit) refuse({ code: 'INVALIDATION_UNSUPPORTED', entry: i, granularity: kind })
        const bound = this.bindingsOf(session.record.id).filter(({ is }) => is.state === 'BOUND')
        if (granularity.kind === 'DOMAIN') {
          return bound.filter(({ is }) => is.domain === granularity.domain)
        }
        const { device: name, target } = granularity
        const device = name === undefined ? undefined : this.#attached(session, name)
        const reached = bound.filter(({ is }) => {
          return is.target === target && (device === undefined || is.device === device.id)
        })
        if (reached.length > 0) return reached
        let known = target === 0
        for (const numbers of this.live.numbers.values()) {
          if (numbers.get(target)?.session === session.record.id) known = true
        }
        if (!known) refuse({ code: 'PASID_NOT_FOUND', pasid: target })
        return refuse({ code: 'NOT_BOUND', device: name ?? '', target })
      })
      const settle = (steps: readonly { readonly bindings: readonly Binding[] }[]): Part[] => {
        const keys = (list: readonly Binding[]): string[] => {
          return list.map(({ device, target }) => `${device}:${target}`).sort()
        }
        const said = steps.map(({ bindings }) => keys(bindings))
        const meant = wanted.map((reached) => keys(reached.map(({ is }) => is)))
        check(same(said, meant), `reached ${JSON.stringify(said)}, not ${JSON.stringify(meant)}`)
        return []
      }
      return { kind: 'accepted', repeats: 0, settle }
    })
  }
}
