// Original file: proto/pasid/v1/pasid_broker.proto

import type { Long } from '@grpc/proto-loader';

export interface ControlOpened {
  'incarnation'?: (string);
  'recoveredRevision'?: (number | string | Long);
  'inFlightMax'?: (number);
}

export interface ControlOpened__Output {
  'incarnation': (string);
  'recoveredRevision': (string);
  'inFlightMax': (number);
}
