/** A device that asks for a page, as the fault queue cases have it. */

import { target } from '../../src/core/ids.js'
import type { At, World } from './world.js'
import { said } from './world.js'

/** Binds nested0, raises a request there, answers it over Control. */
export async function pageRequestCase(world: World, at: At): Promise<readonly string[]> {
  const vm = await world.vm(['dev'], at === 'rid' ? [] : [at])
  const out = [await vm.bind(at, 'nested0')]
  let heard = (): void => undefined
  const event = new Promise<void>((resolve) => (heard = resolve))
  let token: Uint8Array = Buffer.alloc(0)
  const control = await vm.session.control({
    receivePageRequests: true,
    onEvent: (said) => {
      if (said.kind !== 'pageRequest') return
      token = said.event.token
      out.push(said.event.target === 'rid' ? 'rid' : `pasid ${said.event.pasid}`)
      heard()
    },
  })
  const rights = { read: true, write: true, execute: false, privileged: false }
  const place = { device: 'dev', target: target(at === 'rid' ? 0 : at) }
  const request = { ...place, group: 2, last: true, address: 0xdead_b000n, ...rights }
  const raised = world.daemon.backend.raisePageRequest(request)
  if (raised.state !== 'DELIVERED') throw new Error(`the page request is ${raised.state}`)
  await event
  out.push(
    await said(control.send('respondPageRequest', { token, code: 'PAGE_RESPONSE_CODE_SUCCESS' })),
  )
  out.push(`the device is told ${await raised.answered}`)
  await control.close()
  return out
}
