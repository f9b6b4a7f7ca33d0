"""Make the demo: a painted teapot as a mesh with UVs, and sixteen flash photographs of it.

    pip install neurotex[mitsuba]
    python assets/make_demo.py                     # writes mesh.obj, views/ and holdout/ into assets/demo
    python assets/make_demo.py --truth truth.png   # also keeps the 1024² texture that the photographs show

The pot is three closed surfaces of our own formula: a lobed body of revolution with its lid, and two tubes swept along
plane Béziers, spout and handle. Its atlas has six islands. The paint is a function of the surface's own parameters, s
along and angle around, never of the atlas, so it runs on across every seam. Mitsuba 3 takes the pictures: diffuse, a
point light at the camera, direct light only, box filter; the PNGs are sRGB with straight alpha.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

TAU, LOBES, GAP, SIZE, FOV, DISTANCE, FLASH, SAMPLES = 2 * np.pi, 8, 0.012, 256, 45.0, 2.7, 12.0, 1024
VIEWS = {"views": [(25 + 30 * i, (24, 50, -32, 8)[i % 4]) for i in range(12)]}  # azimuth, elevation in degrees
VIEWS["holdout"] = [(10, 14), (100, 38), (190, -18), (280, 28)]
CODES = ["f0e6d0", "1f3a8a", "2a9d9a", "e2583e", "f0a830", "c9487a", "4f8f4a", "dba640", "141a33"]
CREAM, COBALT, TEAL, CORAL, SAFFRON, ROSE, LEAF, GOLD, INK = (np.array([*bytes.fromhex(code)]) / 255 for code in CODES)
BOXES = {"back": (0, 0, 0.63, 0.41), "front": (0, 0.41, 0.63, 0.82), "handle": (0, 0.82, 0.63, 1)}  # u0, v0, u1, v1
BOXES |= {"lid": (0.63, 0.63, 1, 1), "spout": (0.63, 0.26, 1, 0.63), "base": (0.685, 0, 0.945, 0.26)}
# Profiles as (radius, height), Béziers as (x, y), rings as (t on the Bézier, radius)
BASE = [(0, -0.385), (0.12, -0.385), (0.22, -0.395), (0.25, -0.42), (0.28, -0.42)]
BELLY = [(0.28, -0.42), (0.295, -0.385), (0.36, -0.31), (0.5, -0.14), (0.54, 0.02), (0.48, 0.18), (0.36, 0.28)]
BELLY, LID = [*BELLY, (0.29, 0.325)], [(0.29, 0.325), (0.315, 0.345), (0.29, 0.38), (0.2, 0.425), (0.1, 0.45)]
LID += [(0.05, 0.475), (0.055, 0.5), (0.085, 0.53), (0.09, 0.57), (0.06, 0.605), (0, 0.62)]
SPOUT = [(0.4, -0.17), (0.8, -0.17), (0.58, 0.14), (0.81, 0.33)]
PIPE = [(0, 0), *((t, 0.054 + 0.1 * (1 - t) ** 1.5) for t in np.linspace(0, 0.96, 13)), (0.985, 0.06)]
PIPE += [(1, 0.058), (1, 0.046), (0.93, 0.04), (0.93, 0)]  # lip and mouth
HANDLE = [(-0.34, 0.22), (-0.96, 0.46), (-0.98, -0.26), (-0.46, -0.16)]
GRIP = [(0, 0), *((t, 0.05 + 0.03 * (2 * t - 1) ** 4) for t in np.linspace(0, 1, 25)), (1, 0)]
LEAVES = [(0.01, 1), (0.14, 1), (0.2, -1), (0.27, 1), (0.33, -1)]  # where on the vine's period, and on which side
LEAVES += [(at + 0.5, -side) for at, side in LEAVES]


def revolve(profile, n, angle, turn=0.0):
    """Spline the profile, cut it into n equal steps of (arc length + turn × bend), and turn it about +Y with lobes."""
    p = np.asarray([2 * np.subtract(*profile[:2]) + profile[1], *profile, profile[-1]], float)
    t = np.linspace(0, 1, 200, endpoint=False)[:, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))  # Catmull-Rom
    curve = np.concatenate([curve.reshape(-1, 2), p[-1:]])
    step = np.diff(curve, axis=0)
    bend = np.abs(np.diff(np.unwrap(np.arctan2(*step.T)), prepend=np.arctan2(*step[0])))
    s = np.append(0, np.cumsum(np.linalg.norm(step, axis=1) + turn * bend))
    r, y = (np.interp(np.linspace(0, s[-1], n + 1), s, x)[:, None] for x in curve.T)
    r = r * (1 + 0.035 * np.cos(LOBES * angle) * np.clip((r - 0.3) / 0.2, 0, 1) ** 2)
    return np.stack([r * np.cos(angle), y + 0 * angle, -r * np.sin(angle)], -1), np.linspace(0, 1, n + 1), angle


def sweep(bezier, rings, phi, depth):
    """A tube about a plane cubic Bézier, ring by ring; s is the mean length along it, from 0 to 1."""
    (t, radius), b = np.array(rings, float).T[..., None], np.asarray(bezier, float)
    centre = (1 - t) ** 3 * b[0] + 3 * (1 - t) ** 2 * t * b[1] + 3 * (1 - t) * t**2 * b[2] + t**3 * b[3]
    slope = (1 - t) ** 2 * (b[1] - b[0]) + 2 * (1 - t) * t * (b[2] - b[1]) + t**2 * (b[3] - b[2])
    tx, ty = (slope / np.linalg.norm(slope, axis=1, keepdims=True)).T[..., None]
    x, y = centre[:, :1] - ty * radius * np.cos(phi), centre[:, 1:] + tx * radius * np.cos(phi)
    points = np.stack([x, y, depth * radius * np.sin(phi)], -1)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(1)
    return points, np.append(0, np.cumsum(steps)) / steps.sum(), phi


def fan(first, last, n):
    """n equal columns, plus a narrow one at both ends: normals are per uv, so that keeps the seams from showing."""
    return np.sort(np.append(np.linspace(first, last, n + 1), [first + 0.015, last - 0.015]))


def build():
    """{island: (points (rows, columns, 3), s of each row, angle of each column)}; angle × s points outward."""
    back, front = fan(0, TAU / 2, 36), fan(TAU / 2, TAU, 36)
    around, parts = np.append(back, front[1:]), {"back": revolve(BELLY, 20, back), "front": revolve(BELLY, 20, front)}
    parts |= {"base": revolve(BASE, 5, around), "lid": revolve(LID, 18, around, 0.05)}
    parts |= {
        "spout": sweep(SPOUT, PIPE, fan(TAU / 2, 1.5 * TAU, 20), 1),
        "handle": sweep(HANDLE, GRIP, fan(0, TAU, 14), 1.25),
    }
    return {name: ((points - [-0.02, 0.1, 0]) * 1.15, *rest) for name, (points, *rest) in parts.items()}


def unwrap(name, x, y, first, last, inverse=False):
    """(s, angle) to (u, v): rectangles, but discs for lid and base. The inverse holds beyond the edge too."""
    low, high = np.add(BOXES[name], GAP / 2)[:2, None, None], np.add(BOXES[name], -GAP / 2)[2:, None, None]
    disc, sign = name in ("lid", "base"), -1 if name == "base" else 1
    if inverse:
        a, b = (np.stack([x, y]) - low) / (high - low)
        if disc:
            r = 2 * np.hypot(a - 0.5, b - 0.5)
            return 1 - r if sign > 0 else r, np.arctan2(sign * (b - 0.5), a - 0.5)
        a, b = (b, 1 - a) if name == "handle" else (a, b)
        return b, first + a * (last - first)
    r, a = (1 - x if sign > 0 else x) / 2, (y - first) / (last - first)
    ab = (0.5 + r * np.cos(y), 0.5 + sign * r * np.sin(y)) if disc else (1 - x, a) if name == "handle" else (a, x)
    return low + np.stack(np.broadcast_arrays(*ab)) * (high - low)


def write_obj(path, parts):
    """Weld equal corners, drop the triangles that collapse at poles, write v, vt and f."""
    corners = []
    for name, (points, s, angle) in parts.items():
        uv = unwrap(name, s[:, None], angle[None], angle[0], angle[-1])
        grid = np.concatenate([points, np.moveaxis(uv, 0, -1)], -1)
        a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
        corners.append(np.stack([a, b, c, a, c, d], 2).reshape(-1, 5))
    corners = np.concatenate(corners).round(5) + 0.0  # + 0 turns -0 into 0
    (v, vi), (vt, ti) = (np.unique(x, axis=0, return_inverse=True) for x in (corners[:, :3], corners[:, 3:]))
    faces = np.stack([vi.reshape(-1, 3), ti.reshape(-1, 3)], -1) + 1
    faces = faces[(faces[..., 0] != np.roll(faces[..., 0], 1, 1)).all(1)]
    lines = [f"v {x:g} {y:g} {z:g}" for x, y, z in v] + [f"vt {x:g} {y:g}" for x, y in vt]
    lines += ["f " + " ".join(f"{i}/{j}" for i, j in face) for face in faces]
    path.write_text("# A painted teapot, made by assets/make_demo.py\n" + "\n".join(lines) + "\n")
    print(f"{path.name}: {len(v)} positions, {len(vt)} uvs, {len(faces)} triangles")


def over(ground, colour, mask):
    return ground + np.clip(mask, 0, 1)[..., None] * (colour - ground)


def edge(distance, soft=0.006):
    """1 inside (distance < 0), 0 outside, a soft brush's edge between."""
    return np.clip(0.5 - distance / soft, 0, 1)


def cells(angle, n, shift=0.0):
    """Cut the turn into n cells: the position in the cell, -0.5 to 0.5, and the cell's number."""
    x = angle / TAU * n - shift
    return x - np.floor(x) - 0.5, np.floor(x).astype(int) % n


def colour(island, s, angle):
    """The paint: sRGB (..., 3) at each (s, angle)."""
    if island == "handle":  # a twisted rope
        x, k = cells(angle + 40 * s, 2)
        c = over(np.where(k[..., None], TEAL, COBALT), CREAM, edge(0.34 - np.abs(x), 0.04))
        return over(c, GOLD, edge(0.45 - np.abs(x), 0.04))
    if island == "spout":  # pearls that shrink towards a gilded lip
        c = over(COBALT, TEAL, (s - 0.2) * 1.4)
        for row in range(12):
            x, _ = cells(angle, 10, 0.5 * (row % 2))
            c = over(c, CREAM, edge(np.hypot(x, (s - 0.17 - 0.048 * row) * 9) - 0.3 + 0.016 * row, 0.06))
        return over(over(c, GOLD, edge(0.74 - s)), INK, edge(0.893 - s))
    if island == "base":  # a whirl
        c = over(CREAM, TEAL, edge(np.abs(cells(angle + 2 * s, 12)[0]) - 0.3 * (1 - s), 0.05))
        return over(over(c, COBALT, edge(0.72 - s)), GOLD, edge(s - 0.12))
    if island == "lid":  # petals around a striped knob
        (x, k), (swirl, _) = cells(angle, 16), cells(angle + 5 * s, 6)
        petal = np.abs(x) - 0.46 * np.sqrt(np.clip(np.sin(np.pi * np.clip((s - 0.1) / 0.48, 0, 1)), 0, 1))
        c = over(
            over(COBALT, CREAM, edge(petal, 0.05)), np.where(k[..., None] % 2, TEAL, CORAL), edge(petal + 0.1, 0.05)
        )
        c = over(c, CREAM, edge(np.abs(x) - 0.03, 0.03) * edge(np.abs(s - 0.3) - 0.1, 0.02))
        c = over(c, GOLD, np.maximum(edge(s - 0.12), edge(0.56 - s)))
        return over(c, CORAL, edge(np.abs(swirl) - 0.24, 0.08) * edge(0.67 - s, 0.02))
    # The belly, first a vine with a flower in every lobe; y and wide are in scene units
    y, wide = (s - 0.53) * 0.93, TAU / LOBES * 0.53
    c = over(CREAM, CREAM * [0.97, 0.93, 0.86], 0.5 + 0.5 * np.sin(3 * angle + 9 * s) * np.cos(5 * angle - 7 * s))
    c = over(c, LEAF * 0.8, edge(np.abs(y - 0.11 * np.sin(LOBES / 2 * angle)) - 0.006))
    for at, side in LEAVES:
        x, _ = cells(angle, LOBES // 2, at - 0.25)
        x, z = x * 2 * wide, y - 0.11 * np.cos(TAU * at)
        tilt = np.arctan2(-0.11 * np.pi * np.sin(TAU * at), wide) + 0.85 * side
        p, q = x * np.cos(tilt) + z * np.sin(tilt), z * np.cos(tilt) - x * np.sin(tilt)
        leaf = edge(np.abs(q) - 0.026 * (1 - ((p - 0.05) / 0.05) ** 2))
        c = over(over(c, over(LEAF, TEAL, 0.5 + q / 0.04), leaf), CREAM, leaf * edge(np.abs(q) - 0.002))
    x, k = cells(angle, LOBES)
    x, z = x * wide, y + 0.035 * (-1.0) ** k
    rho, turn, n = np.hypot(x, z), np.arctan2(z, x) + k, 5 + k % 3
    petal = rho - 0.105 * (0.55 + 0.45 * np.abs(np.cos(n * turn / 2)) ** 0.7)
    hue = np.stack([CORAL, ROSE, SAFFRON, COBALT])[(k * 3 + k // 4) % 4]
    light = 0.75 * edge(rho - 0.045, 0.06) + 0.35 * edge(0.985 - np.abs(np.cos(n * turn / 2)), 0.02)
    c = over(over(c, INK, edge(petal - 0.005)), over(hue, CREAM, light), edge(petal))
    c = over(over(c, INK, edge(rho - 0.029)), np.where(hue[..., :1] > 0.9, CORAL, SAFFRON), edge(rho - 0.024))
    for row in range(7, -1, -1):  # waves: overlapping scales, the lower rows in front
        x, _ = cells(angle, 24, 0.5 * (row % 2))
        r = np.hypot(x, (s - 0.045 - 0.031 * row) / 0.105)
        ring = np.where((np.floor(r * 8) % 2 == 0)[..., None], CREAM, COBALT + row / 7 * (TEAL - COBALT))
        c = over(c, ring, edge(r - 0.56, 0.03) * (s < 0.105 + 0.031 * row))
    x, k = cells(angle, 24)  # petals that hang from the lid, and two strings of pearls
    drop = np.abs(x) - 0.36 * np.sqrt(np.clip((s - 0.815) / 0.13, 0, 1))
    c = over(over(c, COBALT, edge(0.79 - s)), np.where(k[..., None] % 2, TEAL, CREAM), edge(drop, 0.06) * (s > 0.815))
    c = over(c, CORAL, edge(np.hypot(x * 0.8, (s - 0.92) * 6) - 0.12, 0.05))
    x, _ = cells(angle, 64)
    for at in (0.335, 0.775):
        c = over(over(c, COBALT, edge(np.abs(s - at) - 0.024)), GOLD, edge(np.abs(s - at) - 0.019))
        c = over(c, CREAM, edge(np.hypot(x, (s - at) * 19) - 0.24, 0.1))
    return over(over(c, COBALT, edge(s - 0.07)), GOLD, np.maximum(edge(0.97 - s), edge(np.abs(s - 0.074) - 0.008)))


def paint(parts, size=1024, finer=2):
    """The whole atlas as (size, size, 3) uint8, row 0 at v = 1; painting whole boxes pads the islands."""
    n = size * finer
    atlas, at = np.tile(CREAM, (n, n, 1)), (np.arange(n) + 0.5) / n
    for name, box in BOXES.items():
        u0, v0, u1, v1 = (round(x * n) for x in box)
        s, angle = unwrap(name, *np.meshgrid(at[u0:u1], at[v0:v1]), *parts[name][2][[0, -1]], inverse=True)
        atlas[v0:v1, u0:u1] = colour(name, s, angle)
    atlas = atlas[::-1].reshape(size, finer, size, finer, 3).mean((1, 3))
    return np.round(np.clip(atlas, 0, 1) * 255).astype(np.uint8)


def photograph(mi, obj, texture, azimuth, elevation):
    """One flash photograph as (SIZE, SIZE, 4) uint8, and its camera-to-world matrix (x right, y up, view -z)."""
    a, e = np.radians([azimuth, elevation])
    x, z = np.array([np.cos(a), 0, -np.sin(a)]), np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    pose = np.vstack([np.stack([x, np.cross(z, x), z, DISTANCE * z], 1), [0, 0, 0, 1]]).round(6)
    glaze = {"type": "diffuse", "reflectance": {"type": "bitmap", "filename": str(texture)}}
    film = {"type": "hdrfilm", "width": SIZE, "height": SIZE, "pixel_format": "rgba", "rfilter": {"type": "box"}}
    camera = {"type": "perspective", "fov": FOV, "fov_axis": "x", "film": film | {"component_format": "float32"}}
    camera["to_world"] = mi.ScalarTransform4f(pose @ np.diag([-1.0, 1, -1, 1]))  # Mitsuba: x left, looking along +z
    camera["sampler"] = {"type": "multijitter", "sample_count": SAMPLES}
    flash = {"type": "point", "position": pose[:3, 3].tolist(), "intensity": {"type": "rgb", "value": FLASH}}
    pot = {"type": "obj", "filename": str(obj), "bsdf": {"type": "twosided", "glaze": glaze}}
    scene = {"type": "scene", "integrator": {"type": "direct"}, "camera": camera, "flash": flash, "pot": pot}
    image = np.array(mi.render(mi.load_dict(scene)), float)
    linear, alpha = image[..., :3] / np.maximum(image[..., 3:], 1e-9), image[..., 3:]
    rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    image = np.round(np.concatenate([rgb, alpha], -1).clip(0, 1) * 255).astype(np.uint8)
    return image * (image[..., 3:] > 0), pose


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "demo", help="folder to write into")
    args.add_argument("--truth", type=Path, help="also write the texture that the photographs show")
    args = args.parse_args()
    import mitsuba as mi

    mi.set_variant("scalar_rgb")
    args.out.mkdir(parents=True, exist_ok=True)
    parts, obj = build(), args.out / "mesh.obj"
    write_obj(obj, parts)
    with tempfile.TemporaryDirectory() as folder:
        truth = args.truth or Path(folder) / "truth.png"
        Image.fromarray(paint(parts)).save(truth, optimize=True)
        for kind, angles in VIEWS.items():
            (args.out / kind).mkdir(exist_ok=True)
            meta = {"camera_angle_x": float(np.radians(FOV)), "w": SIZE, "h": SIZE}
            meta |= {"light": {"type": "flash", "intensity": [FLASH] * 3}, "frames": []}
            for i, angle in enumerate(angles):
                (image, pose), name = photograph(mi, obj, truth, *angle), f"{i:03d}.png"
                Image.fromarray(image).save(args.out / kind / name, optimize=True)
                meta["frames"].append({"file_path": name, "transform_matrix": pose.tolist()})
                print(
                    f"{kind}/{name}: brightest {image[..., :3].max()}, coverage {image[..., 3].mean() / 255:.2f}",
                    flush=True,
                )
            (args.out / kind / "transforms.json").write_text(json.dumps(meta, indent=1) + "\n")


if __name__ == "__main__":
    main()
