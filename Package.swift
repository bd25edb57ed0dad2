// swift-tools-version: 6.2
import PackageDescription

// One target per room, in the order data passes through them: see docs/architecture.md.
// Folders carry the short name (Sources/Bytes), targets a prefix (KaratBytes), because module
// names are global to everyone who depends on this package.

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),  // SE-0335
  .enableUpcomingFeature("InternalImportsByDefault"),  // SE-0409
  .enableUpcomingFeature("MemberImportVisibility"),  // SE-0444
]

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: name == "Karat" ? name : "Karat\(name)",
    dependencies: dependencies,
    path: "Sources/\(name)",
    swiftSettings: settings
  )
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "Karat\(name)Tests",
    dependencies: dependencies,
    path: "Tests/\(name)Tests",
    exclude: name == "CLI" ? ["Golden"] : [],
    swiftSettings: settings
  )
}

let package = Package(
  name: "karat",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Karat", targets: ["Karat"]),
    .executable(name: "karat", targets: ["KaratCLI"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
  ],
  targets: [
    .target(name: "CKernels", path: "Sources/CKernels"),
    .systemLibrary(
      name: "COpenBLAS",
      path: "Sources/COpenBLAS",
      pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"])]
    ),
    .systemLibrary(
      name: "CZstd",
      path: "Sources/CZstd",
      pkgConfig: "libzstd",
      providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]
    ),
    room("Bytes", ["CKernels", "CZstd", .product(name: "Crypto", package: "swift-crypto")]),
    room("Tensors"),
    room("Checkpoints", ["CKernels", "KaratBytes", "KaratTensors"]),
    room("Patterns", ["KaratTensors"]),
    room("Tokenizers", ["KaratBytes", "KaratPatterns"]),
    room(
      "Kernels",
      [
        "CKernels", .target(name: "COpenBLAS", condition: .when(platforms: [.linux])),
        "KaratTensors",
      ]
    ),
    room("Graphs", ["KaratKernels", "KaratTensors"]),
    room("Architectures", ["KaratBytes", "KaratGraphs", "KaratTensors"]),
    room(
      "Models",
      [
        "KaratArchitectures", "KaratBytes", "KaratCheckpoints", "KaratGraphs", "KaratKernels",
        "KaratPatterns", "KaratTensors", "KaratTokenizers",
      ]
    ),
    room(
      "Export",
      [
        "KaratArchitectures", "KaratBytes", "KaratCheckpoints", "KaratGraphs", "KaratKernels",
        "KaratModels", "KaratTensors", "KaratTokenizers",
      ]
    ),
    room("Engine", ["KaratBytes", "KaratGraphs", "KaratKernels", "KaratTensors"]),
    room("Datasets", ["KaratBytes"]),
    room(
      "Passes",
      [
        "KaratBytes", "KaratDatasets", "KaratEngine", "KaratGraphs", "KaratKernels",
        "KaratPatterns", "KaratTensors", "Yams",
      ]
    ),
    room(
      "Verification",
      [
        "KaratBytes", "KaratEngine", "KaratGraphs", "KaratKernels", "KaratTensors",
      ]
    ),
    room(
      "Karat",
      [
        "KaratArchitectures", "KaratBytes", "KaratCheckpoints", "KaratDatasets", "KaratEngine",
        "KaratExport", "KaratGraphs", "KaratModels", "KaratPasses", "KaratPatterns",
        "KaratTensors", "KaratTokenizers", "KaratVerification",
      ]
    ),
    .executableTarget(
      name: "KaratCLI",
      dependencies: ["Karat", .product(name: "ArgumentParser", package: "swift-argument-parser")],
      path: "Sources/CLI",
      swiftSettings: settings
    ),
    // What several test targets need; no product holds it.
    .target(
      name: "KaratTestSupport",
      dependencies: ["KaratBytes", "KaratCheckpoints", "KaratEngine", "KaratTensors"],
      path: "Tests/Support",
      swiftSettings: settings
    ),
    // What `make fuzz` feeds with arbitrary bytes; tests replay what once failed.
    .target(
      name: "KaratFuzzTargets",
      dependencies: [
        "KaratArchitectures", "KaratBytes", "KaratCheckpoints", "KaratModels", "KaratPatterns",
        "KaratTensors", "KaratTestSupport", "KaratTokenizers",
      ],
      path: "Fuzz/Targets",
      swiftSettings: settings
    ),
    tests("Fuzz", ["KaratFuzzTargets", "KaratTestSupport"]),
    tests("Tiny", ["Karat", "KaratGraphs", "KaratTestSupport"]),
    tests("Bytes", ["KaratBytes", "KaratTestSupport"]),
    tests(
      "Checkpoints",
      ["KaratBytes", "KaratCheckpoints", "KaratTensors", "KaratTestSupport"]
    ),
    tests("Graphs", ["KaratGraphs", "KaratKernels", "KaratTensors", "KaratTestSupport"]),
    tests(
      "Architectures",
      ["KaratArchitectures", "KaratBytes", "KaratGraphs", "KaratTensors", "KaratTestSupport"]
    ),
    tests(
      "Passes",
      [
        "Karat", "KaratBytes", "KaratEngine", "KaratGraphs", "KaratKernels", "KaratModels",
        "KaratPasses", "KaratTensors", "KaratTestSupport", "KaratVerification",
      ]
    ),
    tests(
      "Models",
      [
        "Karat", "KaratArchitectures", "KaratBytes", "KaratGraphs", "KaratKernels", "KaratModels",
        "KaratPasses", "KaratTensors", "KaratTestSupport",
      ]
    ),
    tests(
      "Verification",
      ["Karat", "KaratGraphs", "KaratTensors", "KaratTestSupport", "KaratVerification"]
    ),
    tests(
      "Engine",
      [
        "Karat", "KaratBytes", "KaratEngine", "KaratGraphs", "KaratPasses", "KaratTensors",
        "KaratTestSupport",
      ]
    ),
    tests(
      "Training",
      [
        "KaratBytes", "KaratEngine", "KaratGraphs", "KaratKernels", "KaratModels", "KaratTensors",
        "KaratTestSupport",
      ]
    ),
    tests("CLI", ["Karat", "KaratCLI", "KaratTestSupport"]),
    tests(
      "Export",
      [
        "Karat", "KaratBytes", "KaratCheckpoints", "KaratExport", "KaratModels", "KaratTensors",
        "KaratTestSupport", "KaratTokenizers",
      ]
    ),
    tests("Patterns", ["KaratPatterns", "KaratTensors"]),
    tests("Tokenizers", ["KaratBytes", "KaratTokenizers"]),
    tests("Kernels", ["CKernels", "KaratKernels", "KaratTensors"]),
  ]
)

// libFuzzer is there only where `swift build --sanitize fuzzer` links it: see scripts/fuzz.
if Context.environment["KARAT_FUZZ"] != nil {
  package.targets += [
    .executableTarget(
      name: "karat-fuzz",
      dependencies: ["KaratFuzzTargets"],
      path: "Fuzz/Driver",
      swiftSettings: settings
    )
  ]
}
