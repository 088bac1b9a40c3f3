/** What each of the two sockets serves. The daemon makes the servers and joins them to sockets. */

import type { Server, ServerDuplexStream } from '@grpc/grpc-js'
import { HealthImplementation, service as healthDefinition } from 'grpc-health-check'
import { OPERATOR, PASID_BROKER } from '../wire/load.js'
import {
  Reflection,
  reflectionDefinitions,
  type ReflectedService,
  type ReflectionRequest,
} from '../wire/reflection.js'
import { strictOperator, strictPasidBroker } from '../wire/services.js'
import type { ServiceContext } from './context.js'
import { operatorHandlers } from './operator.js'
import { pasidBrokerHandlers } from './pasid-broker.js'

/** NOT_SERVING until the daemon says otherwise: it does so after recovery. */
export interface Registered {
  setServing(serving: boolean): void
}

/** A VMM socket: PasidBroker for one tenant, and health. */
export function registerVmmServices(
  server: Server,
  context: ServiceContext,
  tenant: string,
): Registered {
  server.addService(strictPasidBroker, { ...pasidBrokerHandlers(context, tenant) })
  return addHealth(server, PASID_BROKER)
}

/** The admin socket: Operator, health, reflection. */
export function registerAdminServices(server: Server, context: ServiceContext): Registered {
  server.addService(strictOperator, { ...operatorHandlers(context) })
  addReflection(server, [strictOperator, healthDefinition])
  return addHealth(server, OPERATOR)
}

function addHealth(server: Server, service: string): Registered {
  const health = new HealthImplementation({ '': 'NOT_SERVING', [service]: 'NOT_SERVING' })
  health.addToServer(server)
  return {
    setServing(serving) {
      const status = serving ? 'SERVING' : 'NOT_SERVING'
      for (const name of ['', service]) health.setStatus(name, status)
    },
  }
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
