/**
 * Start, where VMMs hand devices over: descriptors that outlived the daemon are taken up again,
 * what is attached beyond what will be kept is detached, and what is recorded on a device that
 * nobody holds any more is LOST. Holds: no id is guessed; what cannot be settled is not bound.
 */

import { BackendFault, type HandOvers, type TurnedAway } from '../backend/backend.js'
import type { Binding } from '../core/binding.js'
import type { Device } from '../core/device.js'
import { target, type SessionId, type Target } from '../core/ids.js'
import type { Session } from '../core/session.js'
import type { State } from '../core/state.js'
import type { Context } from './context.js'
import { placeOf, report } from './teardown.js'
import { describeAgain } from './verbs/devices.js'

/** Before dead owners are looked for: what they had is let go like anybody's. */
export async function takeUp(context: Context, handOvers: HandOvers): Promise<void> {
  const { state, backend } = context
  for (const session of state.sessions.values()) {
    for (const id of session.attachments.keys()) {
      const device = state.device(id)
      if (device.facts === undefined) continue
      try {
        await backend.attachDevice(device.name, session.record.id)
        describeAgain(context, device)
      } catch (fault) {
        if (!(fault instanceof BackendFault)) throw fault
        report(context, device.name, 'attach', fault)
      }
    }
  }
  await letGoUnwanted(context, handOvers)
}

/** What no attachment stands for: the ledger is another, or older, than that which knew of it. */
async function letGoUnwanted(context: Context, handOvers: HandOvers): Promise<void> {
  const { state, backend } = context
  const strangers = new Set<SessionId>()
  for (const turnedAway of handOvers.turnedAway) sayLetGo(context, turnedAway)
  for (const { device: name, session: id } of handOvers.kept()) {
    const session = state.sessions.get(id)
    const device = state.deviceByName.get(name)
    if (session === undefined) {
      strangers.add(id)
      sayLetGo(context, { device: name, session: id, why: 'the ledger knows no such session' })
    } else if (device === undefined || !session.attachments.has(device.id)) {
      const why = 'in the ledger the session has not attached the device'
      sayLetGo(context, { device: name, session: id, why })
      try {
        await backend.detachDevice(name, id)
      } catch (fault) {
        if (!(fault instanceof BackendFault)) throw fault
        report(context, name, 'detach', fault)
      }
    }
  }
  // Each takes a second where its devices are stuck.
  await Promise.all([...strangers].map((id) => handOvers.drop(id, [])))
}

/** A session that the ledger does not know has no name. */
function sayLetGo({ state, ports }: Context, { device, session, why }: TurnedAway): void {
  const name = state.sessions.get(session)?.record.name ?? `#${session}`
  ports.telemetry.keptLetGo({ device, session: name, why })
}

/** Whether an attachment stands that was under way: it was never answered, so only in our hands. */
export function outlived({ backend, state }: Context, session: SessionId, device: Device): boolean {
  if (device.facts === undefined) return false
  const { handOvers } = backend
  if (handOvers === undefined) return true
  const standing = state.session(session).attachments.get(device.id)?.state
  return standing !== 'ATTACHING' || handOvers.holds(device.name, session)
}

/** Why what is recorded on a device of a session cannot be bound. */
export type Unbindable = (binding: Binding) => string | undefined

/** Of every device in our hands, what is attached is made to be a part of what is recorded. */
export async function settleAll(context: Context, handOvers: HandOvers): Promise<Unbindable> {
  const { state } = context
  const unsettled = new Map<string, string>()
  const key = (session: SessionId, device: string): string => `${session}/${device}`
  for (const session of state.sessions.values()) {
    const { id, state: at } = session.record
    // What ends is let go whole.
    if (at === 'CLOSING') continue
    for (const [deviceId, attachment] of session.attachments) {
      const device = state.device(deviceId)
      if (attachment.state === 'DETACHING' || !handOvers.holds(device.name, id)) continue
      try {
        await handOvers.settle(device.name, id, targetsOf(state, session, device))
      } catch (fault) {
        if (!(fault instanceof BackendFault)) throw fault
        report(context, device.name, 'settle', fault)
        unsettled.set(key(id, device.name), fault.message)
      }
    }
  }
  return ({ session, device: id }) => {
    const { name } = state.device(id)
    if (!handOvers.holds(name, session)) return notHeld(name)
    return unsettled.get(key(session, name))
  }
}

function notHeld(device: string): string {
  return (
    `the broker has no descriptors of devices/${device} since it was restarted: detach it, open ` +
    'it anew, hand it over again, and bind again'
  )
}

/** A replace that was under way may have either table in force: it is begun anew. */
function targetsOf(
  state: State,
  session: Session,
  device: Device,
): { readonly granted: readonly Target[]; readonly keep: readonly Target[] } {
  const keep: Target[] = []
  for (const key of session.bindings) {
    const binding = state.bindings.get(key)
    if (binding?.device === device.id && binding.state === 'BOUND') keep.push(binding.target)
  }
  const granted = [...state.namespace(device.namespace).heldBy(session.record.id)]
  return { granted: granted.sort((a, b) => a - b).map(target), keep }
}

/**
 * Binds what is recorded. Kept as it was, the place may have a table in force that was never
 * recorded: a replace is not waited for by its record. Then it is taken down first.
 * @throws BackendFault
 */
export async function bindKept(context: Context, binding: Binding): Promise<void> {
  const { backend } = context
  const place = placeOf(context, binding)
  const request = { ...place, table: binding.table, domain: binding.domain }
  try {
    await backend.bind(request)
  } catch (fault) {
    if (!(fault instanceof BackendFault) || fault.kind !== 'REFUSE') throw fault
    await backend.unbind(place)
    await backend.bind(request)
  }
}
