/** What the flood bench tells a flooding process, and what comes back. */

export type FloodAsked =
  | {
      readonly kind: 'begin'
      readonly socket: string
      readonly connections: number
      /** On each connection. */
      readonly inFlight: number
    }
  | { readonly kind: 'end' }

/** Calls since `begin` that were carried out, and that were refused or cut. */
export interface FloodSaid {
  readonly answered: number
  readonly refused: number
}
