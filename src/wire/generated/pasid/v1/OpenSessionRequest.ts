// Original file: proto/pasid/v1/pasid_broker.proto


export interface OpenSessionRequest {
  'requestId'?: (string);
  'labels'?: ({[key: string]: string});
  'maxPasids'?: (number);
  '_maxPasids'?: "maxPasids";
}

export interface OpenSessionRequest__Output {
  'requestId': (string);
  'labels': ({[key: string]: string});
  'maxPasids'?: (number);
  '_maxPasids'?: "maxPasids";
}
