/**
 * The gRPC method Control: all commands of one session on one stream. Commands go to the broker in
 * the order they came, answers leave as they are ready, events in between. What a client does not
 * take is bounded: reading pauses at the in-flight bound and over its tenant's rate, and too many
 * events cut the stream. Each command is looked at anew: the session may have another owner by now.
 */

import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js'
import type { SessionEvent, Subscription } from '../broker/answers.js'
import type { Caller } from '../broker/caller.js'
import { present } from '../core/assert.js'
import { refuse, type Outcome, type Refusal } from '../core/refusal.js'
import type { ControlOpen__Output } from '../wire/generated/pasid/v1/ControlOpen.js'
import { controlError, errorResponse, factsOf, INTERNAL_REASON, type Reply } from '../wire/reply.js'
import type { Decoded } from '../wire/strict.js'
import type { VmmRequest, VmmResponse } from '../wire/messages.js'
import { namedRefusal, proveSession, type ProvenSession } from './caller.js'
import type { ServiceContext } from './context.js'
import { runCommand, type Answer, type Answering, type Named } from './control-commands.js'
import { ControlEvents } from './control-events.js'
import {
  idRefusal,
  METHODS,
  NO_COMMAND,
  OPEN_AGAIN,
  OPEN_FIRST,
  type AnswerKey,
} from './control-facts.js'
import { eventProto } from './convert/event.js'
import { meterKey, type Meter } from './meters.js'
import { callerOf } from './peer.js'
import type { VmmCommands } from './vmm-commands.js'

type Call = ServerDuplexStream<Decoded<VmmRequest<'Control'>>, VmmResponse<'Control'>>

const METHOD = 'PasidBroker/Control'
/**
 * Of the events that a client need not have taken: for bindings that are LOST when it opens the
 * stream. Page requests that wait are half at most, so both fit; ListPasids shows all.
 */
const LOST_SHARE = 1 / 4

export function controlHandler(
  context: ServiceContext,
  commands: VmmCommands,
): handleBidiStreamingCall<Decoded<VmmRequest<'Control'>>, VmmResponse<'Control'>> {
  return (call) => {
    try {
      new ControlStream(context, callerOf(call), commands, call).start()
    } catch (error) {
      call.emit('error', errorResponse(context.incident(METHOD, error)))
    }
  }
}

/** In this order. Waiting: for its turn; ending: no more is read; closed: no more is written. */
type Life = 'waiting' | 'reading' | 'ending' | 'closed'

class ControlStream {
  readonly #context: ServiceContext
  readonly #commands: VmmCommands
  readonly #call: Call
  readonly #identity: Outcome<Caller>
  /** Of the tenant; held from the first command that is read until the stream is closed. */
  #meter: Meter | undefined
  #life: Life = 'waiting'
  #session: ProvenSession | undefined
  #subscription: Subscription | undefined
  #leaveStreams: (() => void) | undefined
  /** Over its rate: nothing is read until there is a token; the function ends that early. */
  #resting: (() => void) | undefined
  /** Ids of commands that are not answered yet. */
  readonly #ids = new Set<string>()
  /** write() said that the transport is behind: nothing is read until it has caught up. */
  #behind = false
  readonly #events: ControlEvents
  /** Answers that are written and not taken: they count as under way, or memory would be theirs. */
  #answersUntaken = 0
  /** Lists asked for and not taken yet: one at a time, since each may be a page of megabytes. */
  #lists = 0
  /** What the stream ends with once all is answered; undefined is OK. */
  #end: Reply | undefined

  constructor(
    context: ServiceContext,
    identity: Outcome<Caller>,
    commands: VmmCommands,
    call: Call,
  ) {
    this.#context = context
    this.#commands = commands
    this.#call = call
    this.#identity = identity
    this.#events = new ControlEvents(context.limits.controlEvents, this.#sendEvent)
  }

  start(): void {
    const call = this.#call
    for (const end of ['error', 'cancelled', 'close']) call.on(end, () => this.#close())
    const { streams, meters } = this.#context
    const drain = (): void => this.#finish(factsOf({ code: 'DRAINING' }))
    this.#leaveStreams = streams.add({ drain })
    if (streams.draining) {
      drain()
      return
    }
    // A stream is opened at the rate of calls; its commands have a rate of their own.
    present(meters, 'meters of a VMM socket').admit(meterKey(this.#identity), METHOD, {
      run: (left) => {
        left()
        this.#read()
      },
      refuse: (refusal) => this.#finish(factsOf(refusal)),
      gone: () => this.#life !== 'waiting',
    })
  }

  #read(): void {
    const call = this.#call
    this.#life = 'reading'
    if (!this.#identity.ok) {
      this.#finish(factsOf(this.#identity.refusal))
      return
    }
    this.#meter = this.#context.meters?.hold(meterKey(this.#identity))
    call.on('data', (decoded: Decoded<VmmRequest<'Control'>>) => this.#receive(decoded))
    call.on('end', () => this.#finish(undefined))
    call.on('drain', () => {
      this.#behind = false
      this.#readOn()
    })
  }

  #receive(decoded: Decoded<VmmRequest<'Control'>>): void {
    if (this.#life !== 'reading') return
    if (!decoded.ok) {
      this.#refuseMessage(decoded.partial.id ?? '0', decoded.refusal)
      return
    }
    const { message } = decoded
    const wrong = idRefusal(message.id, this.#ids)
    if (wrong !== undefined) this.#refuseMessage(message.id, wrong)
    else if (message.command === 'open') this.#open(message.id, message.open)
    else if (this.#session === undefined) this.#finish(factsOf(OPEN_FIRST))
    else this.#run(message.id, this.#session, message)
  }

  /** Before the stream is open a message that is refused ends it; later only that command. */
  #refuseMessage(id: string, refusal: Refusal): void {
    if (this.#session === undefined) this.#finish(factsOf(refusal))
    else this.#write({ id, error: controlError(factsOf(refusal)) })
  }

  #open(id: string, open: ControlOpen__Output | null | undefined): void {
    if (this.#session !== undefined) {
      this.#refuseMessage(id, OPEN_AGAIN)
      return
    }
    const { broker, limits } = this.#context
    const caller = this.#caller()
    const shown = { caller, metadata: this.#call.metadata }
    const session = proveSession(broker, shown, 'open.session', open?.session ?? '')
    if (!session.ok) {
      this.#finish(factsOf(session.refusal))
      return
    }
    this.#session = session.value
    const { incarnation, recoveredRevision } = broker.info()
    const inFlightMax = limits.controlInFlight
    this.#write({ id, opened: { incarnation, recoveredRevision, inFlightMax } })
    this.#subscription = broker.subscribe({
      session: session.value.id,
      receivePageRequests: open?.receivePageRequests ?? false,
      lostToldMax: Math.floor(limits.controlEvents * LOST_SHARE),
      deliver: (event) => this.#deliver(event),
    })
  }

  /** In the order of arrival: each command reaches the broker before this returns. */
  #run(id: string, session: ProvenSession, message: VmmRequest<'Control'>): void {
    const caller = this.#caller()
    const stop = this.#context.broker.recheck(caller, session.id)
    if (stop !== undefined) return this.#refuseRechecked(id, message, stop)
    const one = { ...session, caller }
    const known = runCommand(this.#commands, one, message, (key, asked, run) => {
      this.#carryOut(id, key, asked, run)
    })
    if (!known) this.#refuseMessage(id, NO_COMMAND)
  }

  #caller(): Caller {
    const identity = this.#identity
    return present(identity.ok ? identity.value : undefined, 'the caller of a stream that is read')
  }

  /** A connection that has outlived its process is nobody's: nothing more comes of it. */
  #refuseRechecked(id: string, { command }: VmmRequest<'Control'>, refusal: Refusal): void {
    const named = namedRefusal(refusal, this.#session?.name)
    if (named.code === 'CALLER_ENDED') return this.#finish(factsOf(named))
    const method = command === undefined ? METHOD : (METHODS[command as AnswerKey] ?? METHOD)
    this.#refuseCommand(id, method, named)
  }

  #carryOut<Key extends AnswerKey, Arguments extends Named>(
    id: string,
    key: Key,
    message: Arguments | null | undefined,
    run: (message: Arguments) => Answering<Key>,
  ): void {
    const { calls, clock } = this.#context
    const named = message?.session ?? message?.name ?? ''
    const method = METHODS[key] ?? key
    if (named !== '' && named !== `sessions/${this.#session?.name ?? ''}`) {
      return this.#refuseCommand(id, method, {
        code: 'SESSION_TOKEN_WRONG',
        session: named.replace(/^sessions\//, ''),
      })
    }
    const meter = present(this.#meter, 'the meter of a stream that is read')
    this.#rest(meter.commandBucket(method).take(clock.instant()))
    if (!meter.calls.enter()) return this.#refuseCommand(id, method, meter.overloaded())
    if (!calls.enter()) {
      meter.calls.leave()
      const { limit } = calls
      return this.#refuseCommand(id, method, { code: 'OVERLOADED', limit, what: 'calls under way' })
    }
    this.#ids.add(id)
    if (key === 'listPasids') this.#lists += 1
    const began = performance.now()
    try {
      const outcome = message ? run(message) : refuse(NO_COMMAND)
      if (!(outcome instanceof Promise)) return this.#answer(id, key, method, began, outcome)
      outcome.then(
        (answered) => this.#answer(id, key, method, began, answered),
        (error: unknown) => this.#fail(id, method, began, error),
      )
    } catch (error) {
      this.#fail(id, method, began, error)
    }
    this.#readOn()
  }

  #answer<Key extends AnswerKey>(
    id: string,
    key: Key,
    method: string,
    began: number,
    outcome: Outcome<Answer<Key>>,
  ): void {
    const reason = outcome.ok ? 'OK' : outcome.refusal.code
    this.#context.observer.called(method, reason, performance.now() - began)
    this.#left(id)
    if (key === 'listPasids') return this.#answerList(id, outcome)
    if (outcome.ok) return this.#write({ id, [key]: outcome.value })
    const refusal = namedRefusal(outcome.refusal, this.#session?.name)
    this.#write({ id, error: controlError(factsOf(refusal)) })
  }

  #answerList(id: string, outcome: Outcome<Answer<AnswerKey>>): void {
    const taken = (): void => {
      this.#lists -= 1
      this.#answerTaken()
    }
    if (outcome.ok) return this.#write({ id, ['listPasids' as AnswerKey]: outcome.value }, taken)
    const refusal = namedRefusal(outcome.refusal, this.#session?.name)
    this.#write({ id, error: controlError(factsOf(refusal)) }, taken)
  }

  #fail(id: string, method: string, began: number, error: unknown): void {
    this.#context.observer.called(method, INTERNAL_REASON, performance.now() - began)
    this.#left(id)
    this.#write({ id, error: controlError(this.#context.incident(method, error)) })
  }

  #left(id: string): void {
    this.#ids.delete(id)
    this.#context.calls.leave()
    this.#meter?.calls.leave()
  }

  #refuseCommand(id: string, method: string, refusal: Refusal): void {
    this.#context.observer.called(method, refusal.code, 0)
    this.#write({ id, error: controlError(factsOf(refusal)) })
  }

  #write(response: VmmResponse<'Control'>, taken: () => void = this.#answerTaken): void {
    if (this.#life === 'closed') return
    this.#answersUntaken += 1
    if (!this.#call.write(response, taken)) this.#behind = true
    this.#readOn()
    this.#endWhenDone()
  }

  readonly #answerTaken = (): void => {
    this.#answersUntaken -= 1
    this.#readOn()
  }

  /** Reads while there is room for another command and the client takes what it is sent. */
  #readOn(): void {
    if (this.#life !== 'reading') return
    const underWay = this.#ids.size + this.#answersUntaken
    const room = underWay < this.#context.limits.controlInFlight && this.#lists === 0
    const full = this.#behind || this.#resting !== undefined || !room
    if (full) this.#call.pause()
    else if (this.#call.isPaused()) this.#call.resume()
  }

  /** The command that took a token too early is carried out; the next waits until that is there. */
  #rest(waitMs: number): void {
    if (waitMs === 0 || this.#resting !== undefined) return
    this.#resting = this.#context.clock.after(waitMs, () => {
      this.#resting = undefined
      this.#readOn()
    })
  }

  /** The transport's own buffer is the queue; this counts what is in it. */
  #deliver(event: SessionEvent): void {
    if (this.#life === 'closed') return
    if (!this.#events.offer(event)) {
      const what = 'events that the client has not taken'
      const { controlEvents: limit } = this.#context.limits
      this.#cut(factsOf({ code: 'OVERLOADED', limit, what }))
    }
  }

  readonly #sendEvent = (event: SessionEvent, taken: () => void): void => {
    if (this.#life === 'closed' || this.#isAnothers()) return
    if (!this.#call.write(eventProto(event), taken)) this.#behind = true
    this.#readOn()
    if (event.kind === 'session-ended') this.#finish(undefined)
  }

  /** Another process has taken the session over: what happens to it is not this one's business. */
  #isAnothers(): boolean {
    if (this.#session === undefined) return false
    const stop = this.#context.broker.recheck(this.#caller(), this.#session.id)
    if (stop?.code !== 'NOT_OWNER' && stop?.code !== 'CALLER_ENDED') return false
    this.#subscription?.close()
    if (stop.code === 'CALLER_ENDED') this.#finish(factsOf(stop))
    return true
  }

  /** Reads no more; ends when all that is under way is answered. */
  #finish(end: Reply | undefined): void {
    if (this.#life !== 'reading' && this.#life !== 'waiting') return
    this.#life = 'ending'
    this.#end = end
    this.#endWhenDone()
  }

  #endWhenDone(): void {
    if (this.#life !== 'ending' || this.#ids.size > 0) return
    if (this.#end === undefined) {
      this.#close()
      this.#call.end()
    } else this.#cut(this.#end)
  }

  /** Ends with a reason, after what the transport has already been given. */
  #cut(end: Reply): void {
    this.#close()
    this.#call.emit('error', errorResponse(end))
  }

  #close(): void {
    if (this.#life === 'closed') return
    this.#life = 'closed'
    this.#subscription?.close()
    this.#leaveStreams?.()
    this.#resting?.()
    if (this.#meter !== undefined) this.#context.meters?.release(this.#meter)
    // What still comes is read and dropped: grpc-js ends a call only when its input has ended.
    this.#call.resume()
  }
}
