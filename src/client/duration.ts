/** Spans of time: milliseconds here, google.protobuf.Duration on the wire. */

export function durationOf(ms: number): { readonly seconds: string; readonly nanos: number } {
  const whole = Math.trunc(ms)
  const seconds = Math.trunc(whole / 1000)
  return { seconds: String(seconds), nanos: (whole - seconds * 1000) * 1_000_000 }
}
