"""The app that `sidecar run` starts beside itself: spawned, watched until it answers, stopped with us."""
