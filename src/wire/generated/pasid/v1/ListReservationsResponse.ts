// Original file: proto/pasid/v1/operator.proto

import type { Reservation as _pasid_v1_Reservation, Reservation__Output as _pasid_v1_Reservation__Output } from '../../pasid/v1/Reservation.js';
import type { Long } from '@grpc/proto-loader';

export interface ListReservationsResponse {
  'reservations'?: (_pasid_v1_Reservation)[];
  'nextPageToken'?: (string);
  'revision'?: (number | string | Long);
}

export interface ListReservationsResponse__Output {
  'reservations': (_pasid_v1_Reservation__Output)[];
  'nextPageToken': (string);
  'revision': (string);
}
