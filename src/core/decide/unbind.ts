/** UnbindPasids: one target, a device's, or all (a guest reset); the grants are kept. */

import type { Binding } from '../binding.js'
import type { UnbindPasids } from '../commands.js'
import { accepted, refused, type Decided } from '../decided.js'
import type { Event } from '../events.js'
import { accept, refuse, type Outcome } from '../refusal.js'
import type { Session } from '../session.js'
import type { State } from '../state.js'
import { attachedDevice, openSession } from './preconditions.js'
import { unbinding } from './free.js'

export interface Unbinding {
  readonly teardown: readonly Binding[]
}

export function unbind(state: State, command: UnbindPasids): Decided<Unbinding> {
  const session = openSession(state, command.session)
  if ('stop' in session) return session.stop
  const meant = bindingsMeant(state, session.found, command)
  if (!meant.ok) return refused(meant.refusal)
  const events: Event[] = []
  for (const binding of meant.value) {
    if (binding.state !== 'UNBINDING') events.push(unbinding(binding))
  }
  return accepted(events, { teardown: meant.value })
}

/** A target named but bound nowhere is refused; "all" of nothing is fine. */
function bindingsMeant(
  state: State,
  session: Session,
  command: UnbindPasids,
): Outcome<readonly Binding[]> {
  const { what } = command
  if (what.kind === 'ALL') return accept(allBindings(state, session))
  if (what.kind === 'DEVICE') {
    const device = attachedDevice(state, session, what.device)
    if (!device.ok) return device
    const { id } = device.value
    return accept(allBindings(state, session).filter((binding) => binding.device === id))
  }
  const found: Binding[] = []
  const named = what.devices.length > 0
  const ids = named ? [] : [...session.attachments.keys()]
  for (const name of what.devices) {
    const device = attachedDevice(state, session, name)
    if (!device.ok) return device
    ids.push(device.value.id)
  }
  for (const id of ids) {
    const binding = state.bindingAt(id, what.target)
    if (binding !== undefined && binding.session === session.record.id) found.push(binding)
    else if (named) {
      return refuse({ code: 'NOT_BOUND', device: state.device(id).name, target: what.target })
    }
  }
  if (found.length > 0) return accept(found)
  return refuse({ code: 'NOT_BOUND', device: '', target: what.target })
}

function allBindings(state: State, session: Session): Binding[] {
  const own: Binding[] = []
  for (const key of session.bindings) {
    const binding = state.bindings.get(key)
    if (binding !== undefined) own.push(binding)
  }
  return own
}
