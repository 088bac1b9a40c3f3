/**
 * Invalidate: all entries validated, then each carried out in order. Doing more than asked is
 * legal, less never: an entry that fails is retried as a whole-table invalidation, and if that
 * fails too its binding is taken down and LOST. Never waits for the disk.
 */

import { BackendFault, type InvalidateRequest } from '../../backend/backend.js'
import type { Binding } from '../../core/binding.js'
import type {
  AddressRange,
  Invalidate,
  InvalidateRaw,
  InvalidationCache,
} from '../../core/commands.js'
import type { InvalidationStep } from '../../core/decide/invalidate.js'
import { completions, verbs } from '../../core/machine.js'
import { accept, type Outcome } from '../../core/refusal.js'
import { bindingView, type BindingView } from '../../core/view.js'
import type { Invalidated } from '../answers.js'
import { lanesOf, lanesOfNamed, make, type Context } from '../context.js'
import type { Lane } from '../lanes.js'
import { placeOf, report, type Teardown } from '../teardown.js'
import { Turns } from '../turns.js'
import { tellLost } from './bindings.js'

/** Each is filled from the one before it; a teardown goes in the same order. */
const FILL_ORDER: readonly InvalidationCache[] = ['PASID_CACHE', 'IOTLB', 'DEVICE_TLB']

type Entry = InvalidationStep['entry']

export function invalidate(
  context: Context,
  teardown: Teardown,
  command: Invalidate | InvalidateRaw,
): Promise<Outcome<Invalidated>> {
  return context.lanes.run(lanesReached(context, command), async () => {
    const made = await make(context, () => {
      if (command.verb === 'invalidate') return verbs.invalidate(context.state, command)
      return verbs.invalidateRaw(context.state, command)
    })
    if (!made.ok) return made
    const lost: BindingView[] = []
    const steps = made.value.answer
    const turns = new Turns()
    const clean = new Cleanliness()
    for (const { entry, bindings } of steps) {
      if (clean.isWhole(entry, bindings)) continue
      const { ranged } = clean
      for (const [i, binding] of bindings.entries()) {
        const range = clean.needs(entry, binding)
        if (range !== 'NOTHING') {
          const caches = entry.caches
          lost.push(...(await invalidateOne(context, teardown, { caches, range }, binding)))
        } else if (i % SKIPPED_A_TURN !== 0) continue
        const turn = turns.next()
        if (turn !== undefined) await turn
      }
      if (clean.ranged === ranged) clean.whole(entry, bindings)
    }
    return accept({ done: steps.length, lost })
  })
}

/** Effects by range in one batch: all its entries on eight devices. Those beyond are whole. */
const RANGED_MAX = 4096
/** Bindings that need nothing are passed over so fast that many are one effect's worth. */
const SKIPPED_A_TURN = 64

type Range = AddressRange | undefined

/**
 * What a batch has invalidated whole of each binding: naming that again needs no doing, so a batch
 * costs no more than its bindings are worth. But a cache may be filled again from the one before
 * it while that is stale: what is invalidated there makes those after it worth doing again.
 */
class Cleanliness {
  readonly #clean = new Map<Binding, ReadonlySet<InvalidationCache>>()
  /** How often a cache that was clean of a binding has become worth doing again. */
  readonly #soiled: Record<InvalidationCache, number> = { PASID_CACHE: 0, IOTLB: 0, DEVICE_TLB: 0 }
  /** Lists that entries share, with `#soiled` of what was whole of all their bindings. */
  readonly #lists = new Map<readonly Binding[], Map<InvalidationCache, number>>()
  /** How often needs() has answered a range. */
  ranged = 0

  /** The range to be done for the binding, taken as done from then on; NOTHING when all is. */
  needs({ granularity, caches }: Entry, binding: Binding): Range | 'NOTHING' {
    if (caches.length === 0) return 'NOTHING'
    const before = this.#clean.get(binding)
    if (before !== undefined && caches.every((cache) => before.has(cache))) return 'NOTHING'
    const range = this.ranged < RANGED_MAX ? rangeOf(granularity) : undefined
    if (range !== undefined) this.ranged += 1
    const after = new Set(before)
    for (const [i, cache] of FILL_ORDER.entries()) {
      if (!caches.includes(cache) || after.has(cache)) continue
      for (const filled of FILL_ORDER.slice(i + 1)) {
        if (after.delete(filled)) this.#soiled[filled] += 1
      }
      if (range === undefined) after.add(cache)
    }
    this.#clean.set(binding, after)
    return range
  }

  /** Whether needs() would say NOTHING of all of them. */
  isWhole({ caches }: Entry, bindings: readonly Binding[]): boolean {
    const whole = this.#lists.get(bindings)
    return whole !== undefined && caches.every((cache) => whole.get(cache) === this.#soiled[cache])
  }

  /** The entry was carried out for all of them, for none by its range. */
  whole({ caches }: Entry, bindings: readonly Binding[]): void {
    const whole = this.#lists.get(bindings) ?? new Map<InvalidationCache, number>()
    for (const cache of caches) whole.set(cache, this.#soiled[cache])
    this.#lists.set(bindings, whole)
  }
}

/** A batch that names its devices does not wait for others. */
function lanesReached(context: Context, { session, entries }: Invalidate | InvalidateRaw): Lane[] {
  const named = new Set<string>()
  for (const { granularity } of entries) {
    const device = deviceOf(granularity)
    if (device === undefined) return lanesOf(context, context.state.sessions.get(session))
    named.add(device)
  }
  return lanesOfNamed(context, session, [...named])
}

function deviceOf(granularity: Entry['granularity']): string | undefined {
  if (granularity.kind === 'DOMAIN') return undefined
  if (granularity.kind !== 'RAW') return granularity.device
  const { reach } = granularity
  // The bindings of one table may be on any device.
  return reach.by === 'DEVICE' || reach.by === 'GUEST_PASID' ? reach.device : undefined
}

function rangeOf(granularity: Entry['granularity']): Range {
  if (granularity.kind === 'ADDRESS') return granularity
  return granularity.kind === 'RAW' ? granularity.range : undefined
}

async function invalidateOne(
  context: Context,
  teardown: Teardown,
  { caches, range }: { readonly caches: readonly InvalidationCache[]; readonly range: Range },
  binding: Binding,
): Promise<readonly BindingView[]> {
  // Field by field: a spread first costs more than the rest of this function.
  const { device, target, session } = placeOf(context, binding)
  const failed = await attempt(context, { device, target, session, caches, range })
  if (failed === undefined) return []
  const whole = await attempt(context, {
    device,
    target,
    session,
    caches: FILL_ORDER,
    range: undefined,
  })
  if (whole === undefined) return []
  const lost: BindingView[] = []
  for (const one of sharingEntry(context, binding)) {
    const view = await lose(context, teardown, one, whole.message)
    if (view !== undefined) lost.push(view)
  }
  return lost
}

async function attempt(
  context: Context,
  request: InvalidateRequest,
): Promise<BackendFault | undefined> {
  try {
    await context.backend.invalidate(request)
    return undefined
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    report(context, request.device, 'invalidate', fault)
    return fault
  }
}

/** The binding, and those of its IOMMU group: their entry stands until the last of them goes. */
function sharingEntry({ state }: Context, binding: Binding): readonly Binding[] {
  const sharing = [binding]
  for (const member of state.groupOf(state.device(binding.device))) {
    const other = state.bindingAt(member.id, binding.target)
    if (other?.state === 'BOUND' && other !== binding) sharing.push(other)
  }
  return sharing
}

/** Stale entries must not stay: without the invalidation, the table itself goes. */
async function lose(
  context: Context,
  teardown: Teardown,
  binding: Binding,
  cause: string,
): Promise<BindingView | undefined> {
  const before = context.state.bindingAt(binding.device, binding.target)
  // An earlier entry of the batch lost it, or another call took it down meanwhile.
  if (before !== binding) return undefined
  context.queue.submit([completions.loseBinding(before, cause)])
  const after = context.state.bindingAt(binding.device, binding.target)
  if (after !== undefined) tellLost(context, after)
  try {
    await context.backend.unbind(placeOf(context, binding))
  } catch (fault) {
    if (!(fault instanceof BackendFault)) throw fault
    report(context, placeOf(context, binding).device, 'unbind', fault)
    const { session } = binding
    teardown.later({ session, bindings: [binding], pending: [], devices: [], closing: false })
  }
  return after === undefined ? undefined : bindingView(context.state, after)
}
