// The umbrella: `import Karat` gives every room that a program needs.

@_exported public import KaratArchitectures
@_exported public import KaratBytes
@_exported public import KaratCheckpoints
@_exported public import KaratDatasets
@_exported public import KaratEngine
@_exported public import KaratExport
@_exported public import KaratGraphs
@_exported public import KaratModels
@_exported public import KaratPasses
@_exported public import KaratPatterns
@_exported public import KaratTensors
@_exported public import KaratTokenizers
@_exported public import KaratVerification
