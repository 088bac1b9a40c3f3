/**
 * OpenContainer: a session with the series' quota, and its devices attached. All or nothing: when
 * one cannot be attached, the session is closed again, and its numbers were never anybody's.
 */

import { createHash } from 'node:crypto'
import { actorOf } from '../../broker/caller.js'
import type { SessionId } from '../../core/ids.js'
import { DEVICES_PER_SESSION_MAX } from '../../core/limits.js'
import { accept, refuse, type Outcome, type Refusal } from '../../core/refusal.js'
import type { DeviceView } from '../../core/view.js'
import { VFIO_PASID_QUOTA } from '../../uapi/vfio-2020.js'
import type { UapiRequest, UapiResponse } from '../../wire/messages.js'
import type { Call } from '../caller.js'
import type { ServiceContext } from '../context.js'
import { Fields } from '../convert/fields.js'
import { requestKey } from '../convert/request-key.js'
import { sessionProto } from '../convert/session.js'
import { openSession } from '../opening.js'
import { scopeOf, type ContainerKinds } from './container.js'
import { mixedScopes } from './numbers.js'

export async function openContainer(
  context: ServiceContext,
  kinds: ContainerKinds,
  message: UapiRequest<'OpenContainer'>,
  call: Call,
): Promise<Outcome<UapiResponse<'OpenContainer'>>> {
  const { broker } = context
  const { requestId } = message
  const fields = new Fields()
  const names = fields.devices('devices', message.devices, DEVICES_PER_SESSION_MAX)
  const asked = fields.answer(names)
  if (!asked.ok) return asked
  const session = { requestId, tenant: '', ownerToken: '', maxPasids: VFIO_PASID_QUOTA }
  const none = { labels: {}, linger: null }
  const more = { container: asked.value }
  const opened = await openSession(context, { ...session, ...none }, call, more)
  if (!opened.ok) return opened
  const { token = '' } = opened.value
  const id = broker.sessionId((opened.value.session?.name ?? '').slice('sessions/'.length))
  if (id === undefined) return refuse({ code: 'SESSION_NOT_FOUND', session: 'of the container' })
  const stop = await attachAll(context, id, asked.value, requestId)
  if (stop !== undefined) {
    const { heldPasids = 0, bindings = 0 } = opened.value.session ?? {}
    // A repeated call finds what was done since, and takes nothing of it away.
    if (heldPasids + bindings === 0) await broker.closeSession(id, actorOf(call.caller))
    return refuse(stop)
  }
  kinds.opened(id, (one) => broker.state.sessions.has(one))
  const now = await broker.getSession(id)
  return now.ok ? accept({ session: sessionProto(now.value), token }) : now
}

/** Undefined: all are attached, and are of one platform and in one numbering. */
async function attachAll(
  { broker }: ServiceContext,
  session: SessionId,
  names: readonly string[],
  requestId: string,
): Promise<Refusal | undefined> {
  const devices: DeviceView[] = []
  for (const device of names) {
    const request = attachKey(requestId, device)
    const attached = await broker.attachDevice({ verb: 'attach-device', session, device, request })
    if (!attached.ok) return attached.refusal
    devices.push(attached.value.device)
  }
  if (scopeOf(devices) === undefined) return mixedScopes(ownNumbering(devices)).refusal
  return mixedPlatforms(devices)
}

function ownNumbering(devices: readonly DeviceView[]): readonly string[] {
  return devices.filter(({ scope }) => scope === 'DEVICE').map(({ name }) => name)
}

/** The same for a repeated call, so that it finds what the first one attached. */
function attachKey(requestId: string, device: string) {
  if (requestId === '') return undefined
  const hash = createHash('sha256').update(`${requestId.toLowerCase()} ${device}`).digest('hex')
  const groups = /^(.{8})(.{4})(.{4})(.{4})(.{12})/.exec(hash)?.slice(1) ?? []
  return requestKey(new Fields(), groups.join('-'), { device })
}

function mixedPlatforms(devices: readonly DeviceView[]): Refusal | undefined {
  const [first] = devices
  const supported = first?.facts?.platform ?? ''
  const other = devices.find(({ facts }) => facts?.platform !== first?.facts?.platform)
  if (other === undefined) return undefined
  const value = other.facts?.platform ?? 'unknown'
  return { code: 'TABLE_UNSUPPORTED', device: other.name, field: 'platform', value, supported }
}
