import KaratBytes
package import KaratGraphs

extension Config {
  /// How fast rotary embeddings turn: `rope_parameters` of newer configs, or `rope_theta` and
  /// `rope_scaling` of older ones, which come first where both are there.
  package func rotation() throws(ConfigError) -> RotationFrequencies {
    let own = try positive("rope_theta", default: 10_000)
    guard let settings = try rotationSettings() else { return RotationFrequencies(base: own) }
    try settings.refuse("partial_rotary_factor", unless: 1, 1.0)
    // Families of other kinds give each type of layer a rotation of its own.
    try settings.refuse("full_attention", "sliding_attention")
    let base = try settings.positive("rope_theta", default: own)
    let type = try settings.rotationType()
    switch type {
    case "default": return RotationFrequencies(base: base)
    case "linear":
      let factor = try settings.positive("factor", default: nil)
      return RotationFrequencies(base: base, scaling: .linear(factor: factor))
    case "llama3":
      return RotationFrequencies(
        base: base,
        scaling: .llama3(
          factor: try settings.positive("factor", default: nil),
          lowFactor: try settings.positive("low_freq_factor", default: nil),
          highFactor: try settings.positive("high_freq_factor", default: nil),
          originalLength: try originalLength(settings)
        )
      )
    case "yarn": return try yarn(settings, base: base)
    default:
      throw ConfigError(
        file: settings.file,
        "the rotary scaling '\(type)' is not supported. Supported: default, linear, llama3, yarn.",
        isUnsupported: true
      )
    }
  }

  /// The object that says how rotations are made, or nil where none does.
  func rotationSettings() throws(ConfigError) -> Config? {
    let former = try nested("rope_scaling")
    let current = try nested("rope_parameters")
    return former ?? current
  }

  /// The kind of rotation that such an object asks for.
  func rotationType() throws(ConfigError) -> String {
    let newer = try text("rope_type")
    let older = try text("type")
    return newer ?? older ?? "default"
  }

  /// YaRN (Peng et al., 2023): how frequencies are stretched, and the amplitude that makes up for
  /// the longer context.
  private func yarn(_ settings: Config, base: Float) throws(ConfigError) -> RotationFrequencies {
    let originalLength = try originalLength(settings)
    guard base > 1 else {
      throw settings.fault("'rope_theta' is \(base); YaRN needs a base above 1.")
    }
    let stretch =
      settings.isPresent("factor") ? nil : try positive("max_position_embeddings", default: nil)
    let factor = try settings.positive("factor", default: stretch.map { $0 / originalLength })
    let given = try settings.number("attention_factor")
    let mscale = try settings.number("mscale") ?? 0
    let mscaleAllDim = try settings.number("mscale_all_dim") ?? 0
    let amplitude: Double
    if let given {
      amplitude = given
    } else if mscale != 0, mscaleAllDim != 0 {
      amplitude =
        RotationFrequencies.yarnAmplitude(factor: factor, weight: mscale)
        / RotationFrequencies.yarnAmplitude(factor: factor, weight: mscaleAllDim)
    } else {
      amplitude = RotationFrequencies.yarnAmplitude(factor: factor)
    }
    guard amplitude.isFinite, amplitude > 0 else {
      throw settings.fault(
        "'attention_factor', 'mscale' and 'mscale_all_dim' make cosines \(amplitude) times as "
          + "large; a positive number is needed."
      )
    }
    return RotationFrequencies(
      base: base,
      scaling: .yarn(
        factor: factor,
        fast: try settings.positive("beta_fast", default: 32),
        slow: try settings.positive("beta_slow", default: 1),
        originalLength: originalLength,
        isTruncated: try settings.flag("truncate", default: true)
      ),
      amplitude: Float(amplitude)
    )
  }

  /// The context that the model was trained on before it was stretched.
  private func originalLength(_ settings: Config) throws(ConfigError) -> Float {
    let key = "original_max_position_embeddings"
    if isPresent(key) { return try positive(key, default: nil) }
    if settings.isPresent(key) { return try settings.positive(key, default: nil) }
    return try positive("max_position_embeddings", default: nil)
  }
}
