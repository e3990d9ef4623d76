"""Record specutils' refractive indices and astropy's conversions of flux density into units.json.

    python record_units.py      (needs specutils, astropy, numpy)
"""

import json
import pathlib

import astropy
import astropy.units as u
import numpy as np
import specutils
from specutils.utils.wcs_utils import air_to_vac, refraction_index, vac_to_air

waves = [2100.0, 2800.0, 3727.09, 4862.69, 5008.24, 5891.583, 6564.61, 8500.36, 12820.0, 21661.0]
w = np.array(waves) * u.AA
out = {"specutils": specutils.__version__, "astropy": astropy.__version__, "angstrom": waves, "index_minus_1": {}, "air": {}, "vacuum_of_the_same_as_air": {}}
for method in ["Ciddor1996", "Morton2000"]:
    out["index_minus_1"][method] = [float(v) for v in refraction_index(w, method=method) - 1]
    out["air"][method] = [float(v) for v in vac_to_air(w, method=method).to_value(u.AA)]
    out["vacuum_of_the_same_as_air"][method] = [
        float(v) for v in air_to_vac(w, scheme="iteration", method=method, precision=1e-14).to_value(u.AA)
    ]
cases = []
for value, unit, wave, wave_unit, to in [
    (3.5, "erg/s/cm2/Angstrom", 5500, "Angstrom", "Jy"),
    (1e-17, "erg s-1 cm-2 Angstrom-1", 1.2, "um", "mJy"),
    (2.0, "Jy", 2.2, "um", "W/m2/um"),
    (7.0, "uJy", 15.0, "GHz", "W/m2/nm"),
    (4.0, "MJy", 24.0, "um", "erg/s/cm2/Hz"),
    (0.3, "W/m2/nm", 656.28, "nm", "erg/s/cm2/Angstrom"),
    (1.0, "ph/s/cm2/Angstrom", 4400, "Angstrom", "erg/s/cm2/Angstrom"),
    (2.5, "ph/s/cm2/Angstrom", 6400, "Angstrom", "Jy"),
    (5.0, "erg/s/cm2/Hz", 6.4, "keV", "ph/s/cm2/Angstrom"),
]:
    spectral = wave * u.Unit(wave_unit)
    new = (value * u.Unit(unit)).to(u.Unit(to), u.spectral_density(spectral))
    cases.append({"value": value, "unit": unit, "metres": spectral.to_value(u.m, u.spectral()), "to": to, "new": float(new.value)})
out["flux"] = cases
out["axis"] = [
    {"metres": m, "unit": unit, "value": (m * u.m).to_value(u.Unit(unit), u.spectral())}
    for m, unit in [(5e-7, "Hz"), (5e-7, "THz"), (0.21, "GHz"), (1.9e-10, "keV"), (5e-7, "eV"), (1e-5, "1/cm"), (5e-7, "Angstrom"), (5e-7, "J")]
]
pathlib.Path(__file__).with_name("units.json").write_text(json.dumps(out, indent=0) + "\n")
