import KaratBytes

extension Config {
  /// How many tokens back each layer sees, as `layer_types` say; where they are not there, as the
  /// family has it.
  ///
  /// - Parameters:
  ///   - window: what `sliding_attention` means, or nil where the config has no window.
  ///   - layers: how many layers there are.
  ///   - slides: whether a layer slides where `layer_types` is not there.
  /// - Returns: for each layer, how many tokens back it sees, its own included, or nil for all.
  /// - Throws: `ConfigError` where a type is not known, slides without a window, or their number is
  ///   not that of the layers.
  package func attentionWindows(
    _ window: Int?,
    layers: Int,
    slides: (Int) -> Bool
  ) throws(ConfigError) -> [Int?] {
    guard let types = try texts("layer_types") else {
      return (0..<layers).map { slides($0) ? window : nil }
    }
    guard types.count == layers else {
      throw fault("'layer_types' names \(types.count) layers; the model has \(layers).")
    }
    var windows: [Int?] = []
    for type in types {
      switch type {
      case "full_attention": windows.append(nil)
      case "sliding_attention":
        guard let window else {
          throw fault(
            "'layer_types' has 'sliding_attention', and 'sliding_window' does not say how many "
              + "tokens a layer sees."
          )
        }
        windows.append(window)
      default:
        throw ConfigError(
          file: file,
          "'layer_types' has '\(type)', which is not supported. Supported: full_attention, "
            + "sliding_attention.",
          isUnsupported: true
        )
      }
    }
    return windows
  }

  /// The windows of Qwen's families: from layer `max_window_layers` on, where `use_sliding_window`
  /// says so.
  package func qwenWindows(layers: Int) throws(ConfigError) -> [Int?] {
    let isUsed = try flag("use_sliding_window", default: false)
    let first = try number("max_window_layers") ?? 28
    return try attentionWindows(isUsed ? slidingWindow() : nil, layers: layers) {
      Double($0) >= first
    }
  }

  /// The windows of Mistral's families: the same in all layers.
  package func mistralWindows(layers: Int) throws(ConfigError) -> [Int?] {
    try refuse("layer_types")
    return Array(repeating: try slidingWindow(), count: layers)
  }

  /// The windows of Mixtral: the same in all layers, none where the config says nothing.
  package func mixtralWindows(layers: Int) throws(ConfigError) -> [Int?] {
    try refuse("layer_types")
    let window = isPresent("sliding_window") ? try size("sliding_window") : nil
    return Array(repeating: window, count: layers)
  }

  /// `sliding_window`: none where it is null, 4096 where it is not there.
  private func slidingWindow() throws(ConfigError) -> Int? {
    let key = "sliding_window"
    return object[key]?.isNull == true ? nil : try size(key, default: 4096)
  }
}
