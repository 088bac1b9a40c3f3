/** Processes and callers, as they are shown. */

import type { Caller } from '../../broker/caller.js'
import type { Actor } from '../../core/audit.js'
import type { Caller as CallerProto } from '../../wire/generated/pasid/v1/Caller.js'
import type { Process } from '../../wire/generated/pasid/v1/Process.js'

export function processProto({ pid, uid, gid }: Actor): Process {
  return { pid, uid, gid }
}

export function callerProto({ process, tenant, delegateFor }: Caller): CallerProto {
  return {
    process: processProto(process),
    tenant: tenant === undefined ? '' : `tenants/${tenant}`,
    delegateFor: [...delegateFor].sort().map((name) => `tenants/${name}`),
  }
}
