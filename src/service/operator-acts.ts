/** What operators do: change limits, end sessions, take numbers back, let reclaim go on. */

import { actorOf } from '../broker/caller.js'
import type { Outcome } from '../core/refusal.js'
import type { StrictOperator } from '../wire/services.js'
import type { ServiceContext } from './context.js'
import { endedProto, releasedProto, releaseOf, sessionEndOf } from './convert/reclaim.js'
import { Fields } from './convert/fields.js'
import { tenantProto, tenantUpdateOf } from './convert/tenant.js'
import { reasonOf } from './convert/text.js'
import { mayAct } from './operator-role.js'
import { mapped, unary, type Handle } from './unary.js'

type Acts = Pick<
  StrictOperator,
  'UpdateTenant' | 'EndSession' | 'ReleaseAllocation' | 'ResumeReclaim'
>

export function operatorActs(context: ServiceContext): Acts {
  const { broker } = context
  const act = <Request, Response>(method: string, handle: Handle<Request, Response>) => {
    return unary<Request, Response>(context, `Operator/${method}`, (message, call) => {
      const allowed = mayAct(call.caller, method)
      return allowed.ok ? handle(message, call) : allowed
    })
  }
  return {
    UpdateTenant: act('UpdateTenant', (message, { caller }) => {
      const update = tenantUpdateOf(message)
      if (!update.ok) return update
      return mapped(broker.updateTenant({ ...update.value, actor: actorOf(caller) }), tenantProto)
    }),
    EndSession: act('EndSession', (message, { caller }) => {
      const end = sessionEndOf(message)
      if (!end.ok) return end
      return mapped(broker.endSession({ ...end.value, actor: actorOf(caller) }), endedProto)
    }),
    ReleaseAllocation: act('ReleaseAllocation', (message, { caller }) => {
      const release = releaseOf(message)
      if (!release.ok) return release
      const asked = { ...release.value, actor: actorOf(caller) }
      return mapped(broker.releaseAllocation(asked), releasedProto)
    }),
    ResumeReclaim: act('ResumeReclaim', (message, { caller }) => {
      const fields = new Fields()
      const reason: Outcome<string> = fields.answer(reasonOf(fields, message.reason))
      if (!reason.ok) return reason
      return broker.resumeReclaim({ reason: reason.value, actor: actorOf(caller) })
    }),
  }
}
