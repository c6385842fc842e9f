/**
 * Viewers of the demonstration: one address in each of thirteen countries. The GeoIP database knows countries, and places
 * a viewer in the country's most populous city; the names here are those cities.
 */
export const VIEWERS: readonly { readonly city: string; readonly countryCode: string; readonly ip: string }[] = [
  { city: 'New York City', countryCode: 'US', ip: '3.14.10.10' },
  { city: 'Toronto', countryCode: 'CA', ip: '3.98.10.10' },
  { city: 'Mexico City', countryCode: 'MX', ip: '148.203.10.10' },
  { city: 'São Paulo', countryCode: 'BR', ip: '18.231.10.10' },
  { city: 'London', countryCode: 'GB', ip: '2.98.10.10' },
  { city: 'Paris', countryCode: 'FR', ip: '2.7.10.10' },
  { city: 'Berlin', countryCode: 'DE', ip: '2.161.10.10' },
  { city: 'Lagos', countryCode: 'NG', ip: '41.217.10.10' },
  { city: 'Mumbai', countryCode: 'IN', ip: '1.7.10.10' },
  { city: 'Singapore', countryCode: 'SG', ip: '3.0.10.10' },
  { city: 'Seoul', countryCode: 'KR', ip: '1.98.10.10' },
  { city: 'Tokyo', countryCode: 'JP', ip: '1.21.10.10' },
  { city: 'Sydney', countryCode: 'AU', ip: '1.42.10.10' },
];
