"""Make lines.json: the lines and bands that the spectrum pane can mark.

    python make_lines.py

Rest wavelengths in vacuum (Angstrom) from the NIST Atomic Spectra Database and, for nebular lines,
the table of the SDSS spectroscopic pipeline; air wavelengths follow from them by Morton 2000,
ApJS 130, 403 (IAU standard), and are null below 2000 Angstrom where nobody uses air. Bands
of molecules (dwarfs: Cushing, Rayner & Vacca 2005, ApJ 623, 1115) and of our own atmosphere are
intervals in vacuum; kind "telluric" stays where it is when the redshift changes.

Needs Python alone.
"""

import json
import os

# name, vacuum Angstrom, kind (emission, absorption, both), group, rank (1 = shown first)
LINES = [
    ("Lyα", 1215.670, "both", "hydrogen", 1),
    ("Lyβ", 1025.722, "both", "hydrogen", 2),
    ("Hα", 6564.614, "both", "hydrogen", 1),
    ("Hβ", 4862.683, "both", "hydrogen", 1),
    ("Hγ", 4341.684, "both", "hydrogen", 1),
    ("Hδ", 4102.892, "both", "hydrogen", 2),
    ("Hε", 3971.198, "both", "hydrogen", 3),
    ("Paα", 18756.13, "both", "hydrogen", 2),
    ("Paβ", 12821.59, "both", "hydrogen", 2),
    ("Paγ", 10941.09, "both", "hydrogen", 3),
    ("Brγ", 21661.20, "both", "hydrogen", 2),
    ("H₂ 1–0 S(1)", 21218.34, "emission", "hydrogen", 3),
    ("O VI 1032", 1031.926, "both", "quasar", 2),
    ("O VI 1038", 1037.617, "both", "quasar", 3),
    ("N V 1239", 1238.821, "both", "quasar", 2),
    ("N V 1243", 1242.804, "both", "quasar", 3),
    ("Si II 1260", 1260.422, "absorption", "interstellar", 3),
    ("O I 1302", 1302.169, "absorption", "interstellar", 3),
    ("C II 1335", 1334.532, "absorption", "interstellar", 3),
    ("Si IV 1394", 1393.755, "both", "quasar", 2),
    ("Si IV 1403", 1402.770, "both", "quasar", 3),
    ("Si II 1527", 1526.707, "absorption", "interstellar", 3),
    ("C IV 1548", 1548.204, "both", "quasar", 1),
    ("C IV 1551", 1550.781, "both", "quasar", 2),
    ("He II 1640", 1640.420, "emission", "quasar", 2),
    ("O III] 1666", 1666.150, "emission", "quasar", 3),
    ("Al II 1671", 1670.787, "absorption", "interstellar", 3),
    ("C III] 1909", 1908.734, "emission", "quasar", 1),
    ("Fe II 2344", 2344.214, "absorption", "interstellar", 3),
    ("Fe II 2383", 2382.765, "absorption", "interstellar", 3),
    ("Fe II 2600", 2600.173, "absorption", "interstellar", 3),
    ("Mg II 2796", 2796.352, "both", "quasar", 1),
    ("Mg II 2803", 2803.531, "both", "quasar", 2),
    ("Mg I 2853", 2852.964, "absorption", "interstellar", 3),
    ("[O II] 3726", 3727.092, "emission", "nebular", 1),
    ("[O II] 3729", 3729.875, "emission", "nebular", 2),
    ("[Ne III] 3869", 3869.860, "emission", "nebular", 2),
    ("[O III] 4363", 4364.436, "emission", "nebular", 3),
    ("He II 4686", 4687.020, "both", "nebular", 2),
    ("[O III] 4959", 4960.295, "emission", "nebular", 1),
    ("[O III] 5007", 5008.240, "emission", "nebular", 1),
    ("[N I] 5200", 5201.705, "emission", "nebular", 2),
    ("He I 5876", 5877.250, "both", "nebular", 2),
    ("[O I] 6300", 6302.046, "emission", "nebular", 1),
    ("[O I] 6364", 6365.536, "emission", "nebular", 2),
    ("[N II] 6548", 6549.860, "emission", "nebular", 1),
    ("[N II] 6583", 6585.270, "emission", "nebular", 1),
    ("He I 6678", 6679.996, "both", "nebular", 3),
    ("[S II] 6716", 6718.290, "emission", "nebular", 1),
    ("[S II] 6731", 6732.670, "emission", "nebular", 1),
    ("[Ar III] 7136", 7137.757, "emission", "nebular", 3),
    ("[S III] 9069", 9071.090, "emission", "nebular", 2),
    ("[S III] 9531", 9533.200, "emission", "nebular", 2),
    ("He I 10830", 10833.31, "both", "nebular", 2),
    ("[Fe II] 12567", 12570.21, "emission", "nebular", 2),
    ("[Fe II] 16435", 16440.02, "emission", "nebular", 3),
    ("Ca II K", 3934.770, "absorption", "stellar", 1),
    ("Ca II H", 3969.590, "absorption", "stellar", 1),
    ("G band", 4305.610, "absorption", "stellar", 2),
    ("Ca I 4227", 4227.918, "absorption", "stellar", 3),
    ("Mg b 5167", 5168.761, "absorption", "stellar", 2),
    ("Mg b 5173", 5174.125, "absorption", "stellar", 1),
    ("Mg b 5184", 5185.048, "absorption", "stellar", 2),
    ("Fe I 5270", 5271.003, "absorption", "stellar", 3),
    ("Fe I 5335", 5336.523, "absorption", "stellar", 3),
    ("Na D2", 5891.583, "absorption", "stellar", 1),
    ("Na D1", 5897.558, "absorption", "stellar", 1),
    ("Li I 6708", 6709.670, "absorption", "stellar", 2),
    ("K I 7665", 7667.009, "absorption", "stellar", 2),
    ("K I 7699", 7701.084, "absorption", "stellar", 2),
    ("Rb I 7800", 7802.414, "absorption", "stellar", 3),
    ("Na I 8183", 8185.505, "absorption", "stellar", 2),
    ("Na I 8195", 8197.077, "absorption", "stellar", 2),
    ("Ca II 8498", 8500.360, "absorption", "stellar", 2),
    ("Ca II 8542", 8544.440, "absorption", "stellar", 1),
    ("Ca II 8662", 8664.520, "absorption", "stellar", 2),
    ("Cs I 8521", 8523.473, "absorption", "stellar", 3),
    ("Na I 1.138", 11384.57, "absorption", "stellar", 3),
    ("Na I 1.140", 11406.90, "absorption", "stellar", 3),
    ("K I 1.169", 11693.42, "absorption", "stellar", 2),
    ("K I 1.177", 11776.06, "absorption", "stellar", 2),
    ("K I 1.243", 12435.67, "absorption", "stellar", 1),
    ("K I 1.252", 12525.56, "absorption", "stellar", 1),
    ("Na I 2.206", 22062.42, "absorption", "stellar", 3),
    ("Na I 2.209", 22089.69, "absorption", "stellar", 3),
]
# name, from, to (vacuum Angstrom), kind, group
BANDS = [
    ("TiO", 7053, 7270, "absorption", "molecules"),
    ("CaH", 6750, 7050, "absorption", "molecules"),
    ("FeH", 9896, 10200, "absorption", "molecules"),
    ("H₂O", 13400, 14500, "absorption", "molecules"),
    ("H₂O", 17700, 20500, "absorption", "molecules"),
    ("CH₄", 11000, 12000, "absorption", "molecules"),
    ("CH₄", 16000, 17600, "absorption", "molecules"),
    ("CH₄", 21500, 24500, "absorption", "molecules"),
    ("CO", 22930, 24500, "absorption", "molecules"),
    ("O₂ B", 6869, 6946, "telluric", "atmosphere"),
    ("O₂ A", 7596, 7702, "telluric", "atmosphere"),
    ("H₂O", 7162, 7340, "telluric", "atmosphere"),
    ("H₂O", 8130, 8350, "telluric", "atmosphere"),
    ("H₂O", 8940, 9850, "telluric", "atmosphere"),
]


def air(vacuum):
    """Air wavelength (Angstrom) or None below 2000."""
    if vacuum < 2000:
        return None
    s2 = (1e4 / vacuum) ** 2
    return round(vacuum / (1 + 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2)), 3)


def main():
    lines = [
        {"name": n, "vacuum_angstrom": v, "air_angstrom": air(v), "kind": k, "group": g, "rank": r}
        for n, v, k, g, r in sorted(LINES, key=lambda line: line[1])
    ]
    bands = [
        {"name": n, "from_angstrom": a, "to_angstrom": b, "kind": k, "group": g} for n, a, b, k, g in sorted(BANDS, key=lambda band: band[1])
    ]
    rows = lambda items: ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in items)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "lines.json"), "w", encoding="utf-8") as file:
        file.write('{\n "lines": [\n' + rows(lines) + '\n ],\n "bands": [\n' + rows(bands) + "\n ]\n}\n")
    print(f"lines.json: {len(lines)} lines, {len(bands)} bands")


if __name__ == "__main__":
    main()
