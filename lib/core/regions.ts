/**
 * Commercial AWS regions: city centres (not data-centre sites) and whether an account must opt in.
 * Sources: AWS announcements (via github.com/seligman/aws-ip-ranges, MIT); opt-in flags from aws-cdk-lib region-info (Apache-2.0).
 */
export const AWS_REGIONS = {
  'af-south-1': { city: 'Cape Town', country: 'South Africa', lat: -33.9249, lon: 18.4241, optIn: true },
  'ap-east-1': { city: 'Hong Kong', country: 'Hong Kong', lat: 22.3193, lon: 114.1694, optIn: true },
  'ap-east-2': { city: 'Taipei', country: 'Taiwan', lat: 25.033, lon: 121.5654, optIn: true },
  'ap-northeast-1': { city: 'Tokyo', country: 'Japan', lat: 35.6762, lon: 139.6503, optIn: false },
  'ap-northeast-2': { city: 'Seoul', country: 'South Korea', lat: 37.5665, lon: 126.978, optIn: false },
  'ap-northeast-3': { city: 'Osaka', country: 'Japan', lat: 34.6937, lon: 135.5023, optIn: false },
  'ap-south-1': { city: 'Mumbai', country: 'India', lat: 19.076, lon: 72.8777, optIn: false },
  'ap-south-2': { city: 'Hyderabad', country: 'India', lat: 17.385, lon: 78.4867, optIn: true },
  'ap-southeast-1': { city: 'Singapore', country: 'Singapore', lat: 1.3521, lon: 103.8198, optIn: false },
  'ap-southeast-2': { city: 'Sydney', country: 'Australia', lat: -33.8688, lon: 151.2093, optIn: false },
  'ap-southeast-3': { city: 'Jakarta', country: 'Indonesia', lat: -6.2088, lon: 106.8456, optIn: true },
  'ap-southeast-4': { city: 'Melbourne', country: 'Australia', lat: -37.8136, lon: 144.9631, optIn: true },
  'ap-southeast-5': { city: 'Kuala Lumpur', country: 'Malaysia', lat: 3.139, lon: 101.6869, optIn: true },
  'ap-southeast-6': { city: 'Auckland', country: 'New Zealand', lat: -36.8509, lon: 174.7645, optIn: true },
  'ap-southeast-7': { city: 'Bangkok', country: 'Thailand', lat: 13.7563, lon: 100.5018, optIn: true },
  'ca-central-1': { city: 'Montreal', country: 'Canada', lat: 45.5019, lon: -73.5674, optIn: false },
  'ca-west-1': { city: 'Calgary', country: 'Canada', lat: 51.0447, lon: -114.0719, optIn: true },
  'eu-central-1': { city: 'Frankfurt', country: 'Germany', lat: 50.1109, lon: 8.6821, optIn: false },
  'eu-central-2': { city: 'Zurich', country: 'Switzerland', lat: 47.3769, lon: 8.5417, optIn: true },
  'eu-north-1': { city: 'Stockholm', country: 'Sweden', lat: 59.3293, lon: 18.0686, optIn: false },
  'eu-south-1': { city: 'Milan', country: 'Italy', lat: 45.4642, lon: 9.19, optIn: true },
  'eu-south-2': { city: 'Madrid', country: 'Spain', lat: 40.4168, lon: -3.7038, optIn: true },
  'eu-west-1': { city: 'Dublin', country: 'Ireland', lat: 53.3498, lon: -6.2603, optIn: false },
  'eu-west-2': { city: 'London', country: 'United Kingdom', lat: 51.5074, lon: -0.1278, optIn: false },
  'eu-west-3': { city: 'Paris', country: 'France', lat: 48.8566, lon: 2.3522, optIn: false },
  'il-central-1': { city: 'Tel Aviv', country: 'Israel', lat: 32.0853, lon: 34.7818, optIn: true },
  'me-central-1': { city: 'Dubai', country: 'UAE', lat: 25.2048, lon: 55.2708, optIn: true },
  'me-south-1': { city: 'Manama', country: 'Bahrain', lat: 26.2285, lon: 50.586, optIn: true },
  'mx-central-1': { city: 'Queretaro', country: 'Mexico', lat: 20.5888, lon: -100.3899, optIn: true },
  'sa-east-1': { city: 'São Paulo', country: 'Brazil', lat: -23.5558, lon: -46.6396, optIn: false },
  'us-east-1': { city: 'Ashburn', country: 'United States', lat: 39.0458, lon: -77.4874, optIn: false },
  'us-east-2': { city: 'Columbus', country: 'United States', lat: 39.9612, lon: -82.9988, optIn: false },
  'us-west-1': { city: 'San Jose', country: 'United States', lat: 37.3382, lon: -121.8863, optIn: false },
  'us-west-2': { city: 'Boardman/Umatilla, Oregon', country: 'United States', lat: 45.84, lon: -119.7, optIn: false },
} as const satisfies Record<string, AwsRegion>;

/** A region's place on Earth; degrees. */
export interface AwsRegion {
  readonly city: string;
  readonly country: string;
  readonly lat: number;
  readonly lon: number;
  readonly optIn: boolean;
}

export type RegionCode = keyof typeof AWS_REGIONS;
