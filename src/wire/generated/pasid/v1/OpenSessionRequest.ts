// Original file: proto/pasid/v1/pasid_broker.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.js';

export interface OpenSessionRequest {
  'requestId'?: (string);
  'labels'?: ({[key: string]: string});
  'maxPasids'?: (number);
  'linger'?: (_google_protobuf_Duration | null);
  'ownerToken'?: (string);
  'tenant'?: (string);
  '_maxPasids'?: "maxPasids";
}

export interface OpenSessionRequest__Output {
  'requestId': (string);
  'labels': ({[key: string]: string});
  'maxPasids'?: (number);
  'linger': (_google_protobuf_Duration__Output | null);
  'ownerToken': (string);
  'tenant': (string);
  '_maxPasids'?: "maxPasids";
}
