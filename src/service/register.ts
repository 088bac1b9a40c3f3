/** What each of the two sockets serves. The daemon makes the servers and joins them to sockets. */

import type { Server, ServerDuplexStream } from '@grpc/grpc-js'
import { service as healthDefinition } from 'grpc-health-check'
import { OPERATOR, PASID_BROKER } from '../wire/load.js'
import {
  Reflection,
  reflectionDefinitions,
  type ReflectedService,
  type ReflectionRequest,
} from '../wire/reflection.js'
import {
  strictEmulatorLab,
  strictOperator,
  strictPasidBroker,
  strictVfioUapi,
} from '../wire/services.js'
import type { ServiceContext } from './context.js'
import { emulatorLabHandlers } from './emulator-lab.js'
import { Health } from './health.js'
import { operatorHandlers } from './operator.js'
import { pasidBrokerHandlers } from './pasid-broker.js'
import { vfioUapiHandlers } from './vfio-uapi.js'

/** NOT_SERVING until the daemon says otherwise: it does so after recovery. */
export interface Registered {
  setServing(serving: boolean): void
}

/**
 * A VMM socket: PasidBroker, VfioUapi, and health. Who calls is the word of the server's
 * peerInterceptor.
 */
export function registerVmmServices(server: Server, context: ServiceContext): Registered {
  server.addService(strictPasidBroker, { ...pasidBrokerHandlers(context) })
  server.addService(strictVfioUapi, { ...vfioUapiHandlers(context) })
  return addHealth(server, new Health(context, PASID_BROKER))
}

/**
 * The admin socket: Operator, EmulatorLab, health, reflection. Operators are bounded, not limited
 * by rate.
 */
export function registerAdminServices(server: Server, context: ServiceContext): Registered {
  const unmetered = { ...context, meters: undefined }
  server.addService(strictOperator, { ...operatorHandlers(unmetered) })
  server.addService(strictEmulatorLab, { ...emulatorLabHandlers(unmetered) })
  addReflection(server, [strictOperator, strictEmulatorLab, healthDefinition])
  return addHealth(server, new Health(unmetered, OPERATOR))
}

function addHealth(server: Server, health: Health): Registered {
  health.addTo(server)
  return health
}

type ReflectionCall = ServerDuplexStream<ReflectionRequest, object>

function addReflection(server: Server, services: readonly ReflectedService[]): void {
  const reflection = new Reflection([...services, ...reflectionDefinitions])
  const serve = (call: ReflectionCall): void => {
    call.on('data', (request: ReflectionRequest) => {
      // One question is under way at a time: the next is read when this answer is taken.
      call.pause()
      call.write(reflection.answer(request), () => call.resume())
    })
    call.on('end', () => call.end())
  }
  for (const definition of reflectionDefinitions) {
    server.addService(definition, { ServerReflectionInfo: serve })
  }
}
