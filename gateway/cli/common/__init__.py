"""What every group of commands uses: options, output, checks of arguments."""
