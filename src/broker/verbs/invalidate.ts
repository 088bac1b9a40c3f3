/**
 * Invalidate: all entries validated, then each carried out in order. Doing more than asked is
 * legal, less never: an entry that fails is retried as a whole-table invalidation, and if that
 * fails too its binding is taken down and LOST. Never waits for the disk.
 */

import { BackendFault, type InvalidateRequest } from '../../backend/backend.js'
import type { Binding } from '../../core/binding.js'
import type { Invalidate, InvalidationCache, InvalidationEntry } from '../../core/commands.js'
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

export function invalidate(
  context: Context,
  teardown: Teardown,
  command: Invalidate,
): Promise<Outcome<Invalidated>> {
  return context.lanes.run(lanesReached(context, command), async () => {
    const made = await make(context, () => verbs.invalidate(context.state, command))
    if (!made.ok) return made
    const lost: BindingView[] = []
    const steps = made.value.answer
    const turns = new Turns()
    const clean = new Cleanliness()
    for (const { entry, bindings } of steps) {
      for (const binding of bindings) {
        if (!clean.needs(entry, binding)) continue
        const gone = await invalidateOne(context, teardown, entry, binding)
        if (gone !== undefined) lost.push(gone)
        const turn = turns.next()
        if (turn !== undefined) await turn
      }
    }
    return accept({ done: steps.length, lost })
  })
}

/**
 * What a batch has invalidated whole of each binding: naming that again needs no doing, so a batch
 * costs no more than its bindings are worth. But a cache may be filled again from the one before
 * it while that is stale: what is invalidated there makes those after it worth doing again.
 */
class Cleanliness {
  readonly #clean = new Map<Binding, ReadonlySet<InvalidationCache>>()

  /** Whether the entry has anything to do for the binding; taken as done from then on. */
  needs({ granularity, caches }: InvalidationEntry, binding: Binding): boolean {
    const before = this.#clean.get(binding)
    if (before !== undefined && caches.every((cache) => before.has(cache))) return false
    const after = new Set(before)
    for (const [i, cache] of FILL_ORDER.entries()) {
      if (!caches.includes(cache) || after.has(cache)) continue
      for (const filled of FILL_ORDER.slice(i + 1)) after.delete(filled)
      if (granularity.kind !== 'ADDRESS') after.add(cache)
    }
    this.#clean.set(binding, after)
    return true
  }
}

/** A batch that names its devices does not wait for others. */
function lanesReached(context: Context, { session, entries }: Invalidate): Lane[] {
  const named = new Set<string>()
  for (const { granularity } of entries) {
    if (granularity.kind === 'DOMAIN' || granularity.device === undefined) {
      return lanesOf(context.state.sessions.get(session))
    }
    named.add(granularity.device)
  }
  return lanesOfNamed(context, session, [...named])
}

async function invalidateOne(
  context: Context,
  teardown: Teardown,
  entry: InvalidationEntry,
  binding: Binding,
): Promise<BindingView | undefined> {
  const { granularity, caches } = entry
  // Field by field: a spread first costs more than the rest of this function.
  const { device, target, session } = placeOf(context, binding)
  const range = granularity.kind === 'ADDRESS' ? granularity : undefined
  const failed = await attempt(context, { device, target, session, caches, range })
  if (failed === undefined) return undefined
  const whole = await attempt(context, {
    device,
    target,
    session,
    caches: FILL_ORDER,
    range: undefined,
  })
  if (whole === undefined) return undefined
  return lose(context, teardown, binding, whole.message)
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
