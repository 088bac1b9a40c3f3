// Original file: proto/pasid/v1/emulator_lab.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.js';

export interface InjectFaultRequest {
  'device'?: (string);
  'fail'?: (string);
  'slow'?: (_google_protobuf_Duration | null);
  'dead'?: (boolean);
  'health'?: (string);
  'effect'?: (string);
  'skip'?: (number);
  'times'?: (number);
  'afterTeardown'?: (boolean);
  'fault'?: "fail"|"slow"|"dead"|"health";
}

export interface InjectFaultRequest__Output {
  'device': (string);
  'fail'?: (string);
  'slow'?: (_google_protobuf_Duration__Output | null);
  'dead'?: (boolean);
  'health'?: (string);
  'effect': (string);
  'skip': (number);
  'times': (number);
  'afterTeardown': (boolean);
  'fault'?: "fail"|"slow"|"dead"|"health";
}
