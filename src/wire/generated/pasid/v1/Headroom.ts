// Original file: proto/pasid/v1/types.proto


export interface Headroom {
  'session'?: (number);
  'tenant'?: (number);
  'scope'?: (number);
  '_tenant'?: "tenant";
}

export interface Headroom__Output {
  'session': (number);
  'tenant'?: (number);
  'scope': (number);
  '_tenant'?: "tenant";
}
