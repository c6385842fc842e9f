import { BlockList, isIPv4 } from 'node:net';
import { join } from 'node:path';
import { open, type Response } from 'maxmind';
import { z } from 'zod';
import type { Place } from '../../lib/core/geo';
import { AWS_REGIONS, type AwsRegion } from '../../lib/core/regions';
import { numberField, readCsv } from './csv';
import { loadPops, nearest, type Pop } from './pops';

/** Where a viewer is taken to be. */
export interface ViewerPlace extends Place {
  readonly city: string;
  /** ISO 3166-1 alpha-2; `undefined` for addresses that belong to no country, as the private ones. */
  readonly countryCode: string | undefined;
}

/** Answers where a viewer is and which POP serves it. */
export interface Geo {
  /** @param ip textual IPv4 or IPv6 address */
  locate(ip: string): ViewerPlace;
  nearestPop(place: Place): Pop;
  readonly pops: readonly Pop[];
}

export interface GeoOptions {
  /** Viewers of private, loopback and unlisted addresses stand in this region's city. */
  readonly homeRegion: string;
}

const COUNTRY_DATABASE = require.resolve('@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb');

/** A record of the database; flat, unlike MaxMind's own. */
const CountryRecord = z.object({ country_code: z.string() });

/**
 * Opens the GeoIP look-up: address -> country (ip-location-db geo-whois-asn-country, CC0) -> its most populous city
 * (GeoNames, CC BY 4.0). A country is all that a free database gives; within large ones the city can be far off.
 *
 * @throws when `homeRegion` is no AWS region or the database cannot be read.
 */
export async function openGeo(options: GeoOptions): Promise<Geo> {
  const home = homePlace(options.homeRegion);
  const countries = await open<Response>(COUNTRY_DATABASE);
  const cities = loadCities();
  const pops = loadPops();
  return {
    pops,
    nearestPop: (place) => nearest(place, pops),
    locate(ip) {
      const address = withoutMapping(ip);
      if (isPrivate(address)) return home;
      const countryCode = CountryRecord.safeParse(countries.get(address)).data?.country_code;
      if (countryCode === undefined) return home;
      const city = cities.get(countryCode);
      return city ?? { ...home, countryCode };
    },
  };
}

/** Addresses of no place (RFC 1918, 3927, 4193, 4291, 6598); the database claims some of them for a country. */
const PRIVATE = new BlockList();
PRIVATE.addSubnet('10.0.0.0', 8);
PRIVATE.addSubnet('100.64.0.0', 10);
PRIVATE.addSubnet('127.0.0.0', 8);
PRIVATE.addSubnet('169.254.0.0', 16);
PRIVATE.addSubnet('172.16.0.0', 12);
PRIVATE.addSubnet('192.168.0.0', 16);
PRIVATE.addAddress('::1', 'ipv6');
PRIVATE.addSubnet('fc00::', 7, 'ipv6');
PRIVATE.addSubnet('fe80::', 10, 'ipv6');

function isPrivate(address: string): boolean {
  return PRIVATE.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
}

/** An IPv4 address that reached an IPv6 socket is written `::ffff:192.0.2.1`; the database knows it without the prefix. */
function withoutMapping(ip: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(ip)?.[1];
  return mapped !== undefined && isIPv4(mapped) ? mapped : ip;
}

function homePlace(region: string): ViewerPlace {
  const regions: Readonly<Record<string, AwsRegion>> = AWS_REGIONS;
  const found = regions[region];
  if (!found) throw new Error(`home region ${JSON.stringify(region)} is not a commercial AWS region`);
  return { city: found.city, lat: found.lat, lon: found.lon, countryCode: undefined };
}

function loadCities(): Map<string, ViewerPlace> {
  const rows = readCsv(join(__dirname, '../data/metros.csv'));
  return new Map(
    rows.map((row) => {
      const countryCode = row.country_code ?? '';
      const place = { lat: numberField(row, 'lat'), lon: numberField(row, 'lon') };
      return [countryCode, { ...place, city: row.city ?? '', countryCode }];
    }),
  );
}
