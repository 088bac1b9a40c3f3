/** AllocatePasids and FreePasids. */

import type { AllocatePasids, FreePasids } from '../../core/commands.js'
import { HOST_NAMESPACE } from '../../core/ids.js'
import { verbs } from '../../core/machine.js'
import { accept, type Outcome } from '../../core/refusal.js'
import { headroom, type HeadroomView } from '../../core/view.js'
import type { AllocatedPasids, FreedPasids } from '../answers.js'
import { cannotGrant, lanesOf, make, no, unavailable, type Context } from '../context.js'
import type { Teardown } from '../teardown.js'

export async function allocate(
  context: Context,
  command: AllocatePasids,
): Promise<Outcome<AllocatedPasids>> {
  const stop = cannotGrant(context)
  if (stop !== undefined) return no(context, stop)
  const made = await make(context, (now) => verbs.allocate(context.state, command, now))
  if (!made.ok) return made
  const left = headroomFor(context, command)
  if (!(await context.queue.settled(made.value.revision))) return no(context, unavailable())
  const { runs, generation } = made.value.answer
  return accept({ runs, generation, headroom: left })
}

/** As of the decision, not of the answer. */
function headroomFor(
  context: Context,
  command: Pick<AllocatePasids, 'session' | 'scope'>,
): HeadroomView {
  const { state } = context
  const { scope } = command
  const device = scope.kind === 'DEVICE' ? state.deviceByName.get(scope.device) : undefined
  const namespace = state.namespace(device?.namespace ?? HOST_NAMESPACE)
  return headroom(state, state.session(command.session), namespace)
}

/** Carried out whatever the ledger does; `durable` says whether it is recorded. */
export async function free(
  context: Context,
  teardown: Teardown,
  command: FreePasids,
): Promise<Outcome<FreedPasids>> {
  const asOf = context.state.revision
  const made = await make(context, (now) => verbs.free(context.state, command, now, asOf))
  if (!made.ok) return made
  const { answer, revision } = made.value
  const left = headroomFor(context, command)
  const durable = await context.queue.settled(revision)
  const { freed, teardown: bindings, pending } = answer
  const { session } = command
  if (pending.length > 0) {
    await teardown.begin({ session, bindings, pending, devices: [], closing: false })
  } else if (made.value.change === undefined) {
    // Given back before: whoever asks again hears it when the first has been carried out as well.
    const lanes = lanesOf(context, context.state.sessions.get(session))
    await context.lanes.run(lanes, () => Promise.resolve())
  }
  return accept({ freed, durable, headroom: left })
}
