// Original file: proto/pasid/v1/emulator_lab.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.js';

export interface ResetDeviceRequest {
  'device'?: (string);
  'duration'?: (_google_protobuf_Duration | null);
}

export interface ResetDeviceRequest__Output {
  'device': (string);
  'duration': (_google_protobuf_Duration__Output | null);
}
