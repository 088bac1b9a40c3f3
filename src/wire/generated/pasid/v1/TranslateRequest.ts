// Original file: proto/pasid/v1/emulator_lab.proto

import type { EmulatedTarget as _pasid_v1_EmulatedTarget, EmulatedTarget__Output as _pasid_v1_EmulatedTarget__Output } from '../../pasid/v1/EmulatedTarget.js';
import type { Long } from '@grpc/proto-loader';

export interface TranslateRequest {
  'device'?: (string);
  'target'?: (_pasid_v1_EmulatedTarget | null);
  'address'?: (number | string | Long);
  'write'?: (boolean);
  'privileged'?: (boolean);
}

export interface TranslateRequest__Output {
  'device': (string);
  'target': (_pasid_v1_EmulatedTarget__Output | null);
  'address': (string);
  'write': (boolean);
  'privileged': (boolean);
}
